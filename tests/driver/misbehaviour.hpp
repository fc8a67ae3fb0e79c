// What the driver does wrong, on command.
//
// The connection string orders it: MISBEHAVE=<what>;AT=<where>;VALUE=<parameter>;NOTE=<file>;ROWS=<count>. With
// TRACE=<file> it writes down what it is sent, and "dbms" is no deed but a name: VALUE is what it calls its engine.
// Deeds that concern the whole process (a crash, a hang) are done by commit() at connect, execute, fetch or disconnect;
// those that concern a result (lengths, names, types) are asked for by name where the result is made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace misbehaving {

struct Orders {
    std::string what;
    std::string at;
    std::string value;
    std::string note;  // a file that is made when the deed begins, so that a test can wait for it
    std::string password;
    std::string trace;
    std::int64_t rows = 10;

    bool is(std::string_view deed) const { return what == deed; }
    std::int64_t number() const;
};

Orders parse_orders(const std::string& connection_string);

// Does what is ordered at `place`, if it is a deed of the process; returns where the process survives it. False where
// the place is to fail with an ordinary error.
bool commit(const Orders& orders, std::string_view place);

}  // namespace misbehaving
