// Crashes, hangs and other deeds of a process; see misbehaviour.hpp.
#include "tests/driver/misbehaviour.hpp"

#include <clocale>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace misbehaving {

namespace {

constexpr std::size_t chunk = std::size_t{16} << 20;

// A crash is the driver's own: no handler of a sanitizer takes it for an error of the connector.
void crash_plainly() {
    signal(SIGSEGV, SIG_DFL);
}

// Through volatile, so that no optimizer knows better than to crash.
void write_to_zero() {
    crash_plainly();
    volatile int* volatile nowhere = nullptr;
    *nowhere = 1;
}

int overflow_stack(int depth) {
    volatile char frame[4096];
    frame[0] = static_cast<char>(depth);
    return depth < 0 ? 0 : overflow_stack(depth + 1) + frame[0];
}

[[noreturn]] void hang() {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    while (true) pause();
}

[[noreturn]] void loop() {
    for (volatile unsigned turns = 0;;) turns = turns + 1;
}

// Takes memory and touches it until there is no more.
void allocate() {
    while (void* memory = std::malloc(chunk)) std::memset(memory, 1, chunk);
}

void map_memory() {
    while (true) {
        void* memory = mmap(nullptr, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return;
        std::memset(memory, 1, chunk);
    }
}

void print(int descriptor, const std::string& text, std::size_t bytes) {
    for (std::size_t written = 0; written < bytes; written += text.size()) {
        if (write(descriptor, text.data(), text.size()) < 0) return;
    }
}

void read_input() {
    char buffer[4096];
    while (read(STDIN_FILENO, buffer, sizeof buffer) > 0) {
    }
}

void close_descriptors() {
    for (int descriptor = 0; descriptor < 1024; descriptor++) close(descriptor);
}

// A child that keeps every descriptor of its parent and outlives it.
void leave_child() {
    if (fork() == 0) hang();
}

void change_surroundings() {
    setlocale(LC_ALL, "C");
    setenv("LC_ALL", "tr_TR.UTF-8", 1);
    umask(0777);
    if (chdir("/") != 0) abort();
    for (int number = 1; number < SIGRTMIN; number++) signal(number, SIG_IGN);
}

void take_note(const Orders& orders) {
    if (orders.note.empty()) return;
    const int file = open(orders.note.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
    if (file >= 0) close(file);
}

// Stands still while the note exists; who removes it lets the driver go on, for good.
void wait_for_release(const Orders& orders) {
    static bool released;
    if (released) return;
    released = true;
    take_note(orders);
    while (access(orders.note.c_str(), F_OK) == 0) usleep(10000);
}

// Deeds of the library's own life are ordered by its file's name, as there is no connection string yet.
void commit_by_file_name(const char* place) {
    Dl_info self;
    if (dladdr(reinterpret_cast<void*>(&parse_orders), &self) == 0 || self.dli_fname == nullptr) return;
    const std::string path = self.dli_fname;
    const std::size_t at = path.find(place);
    if (at == std::string::npos) return;
    Orders orders;
    orders.at = place;
    orders.what = path.substr(at + std::strlen(place) + 1);
    orders.what.erase(orders.what.find('.'));
    commit(orders, place);
}

__attribute__((constructor)) void on_load() {
    commit_by_file_name("constructor");
}

__attribute__((destructor)) void on_unload() {
    commit_by_file_name("destructor");
}

}  // namespace

std::int64_t Orders::number() const {
    return std::strtoll(value.c_str(), nullptr, 10);
}

Orders parse_orders(const std::string& connection_string) {
    auto value_of = [&](const std::string& name) -> std::string {
        const std::size_t at = (";" + connection_string).find(";" + name + "=");
        if (at == std::string::npos) return "";
        std::string value = connection_string.substr(at + name.size() + 1);
        value.erase(std::min(value.find(';'), value.size()));
        return value.size() > 1 && value[0] == '{' ? value.substr(1, value.size() - 2) : value;
    };
    Orders orders{value_of("MISBEHAVE"), value_of("AT"),  value_of("VALUE"),
                  value_of("NOTE"),      value_of("PWD"), value_of("TRACE")};
    if (const std::string rows = value_of("ROWS"); !rows.empty()) orders.rows = std::strtoll(rows.c_str(), nullptr, 10);
    return orders;
}

bool commit(const Orders& orders, std::string_view place) {
    if (orders.at != place || orders.what.empty()) return true;
    if (!orders.is("wait")) take_note(orders);
    if (orders.is("error")) return false;
    if (orders.is("segfault")) write_to_zero();
    if (orders.is("abort")) abort();
    if (orders.is("exit")) exit(0);
    if (orders.is("throw")) throw std::runtime_error("the driver can't go on with " + orders.password);
    if (orders.is("overflow")) {
        crash_plainly();
        overflow_stack(0);
    }
    if (orders.is("hang")) hang();
    if (orders.is("loop")) loop();
    if (orders.is("wait")) wait_for_release(orders);
    if (orders.is("allocate")) {
        allocate();
        return false;
    }
    if (orders.is("map")) {
        map_memory();
        return false;
    }
    if (orders.is("print")) print(STDOUT_FILENO, "junk " + orders.password + "\n", std::size_t{4} << 20);
    if (orders.is("complain")) print(STDERR_FILENO, "junk " + orders.password + "\n", std::size_t{4} << 20);
    if (orders.is("last-words")) {
        const auto behind = static_cast<std::size_t>(orders.number());
        print(STDERR_FILENO, std::string(2000, '.') + orders.password + std::string(behind, '.'), 1);
        abort();
    }
    if (orders.is("read-input")) read_input();
    if (orders.is("close")) close_descriptors();
    if (orders.is("fork")) leave_child();
    if (orders.is("fork-and-hang")) {
        leave_child();
        hang();
    }
    if (orders.is("fork-and-crash")) {
        leave_child();
        write_to_zero();
    }
    if (orders.is("surroundings")) change_surroundings();
    return true;
}

}  // namespace misbehaving
