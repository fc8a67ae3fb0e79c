// Whether sources can be reached: a circuit breaker for each server, kept with its agenda in shared memory.
//
// A server that gives no answer when a connection to it is opened is not tried again by each of its streams: for all of
// them together there is one attempt at a time, with pauses that double from one second to five minutes. The first
// answer closes the breaker. A changed definition of the server counts as another server. Two rules keep sources that
// hang from the others' workers:
//   * workers at servers whose last attempt failed are a quarter of insync.max_workers at most (take_due)
//   * of workers that wait for a connection longer than a moment, those beyond half of insync.max_workers give up early
//     while another server waits for a worker (must_give_up)
// What is read here is derived: a restart forgets it, and the first attempt tells it again.
#pragma once

extern "C" {
#include "postgres.h"

#include "datatype/timestamp.h"
}

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace insync {

struct Reach {
    std::uint64_t connecting;      // a bit a worker that opens a connection
    TimestampTz connecting_since;  // the first of them
    int failures;                  // attempts in a row without an answer; 0: the breaker is closed
    TimestampTz failing_since, last_attempt, next_attempt;
    std::uint64_t definition;  // of the server when it was last tried
    char message[256];         // why the last attempt failed
};

struct ServerReach {
    Oid server;
    Reach reach;
};

namespace shared {

// The worker of a place begins or ends to open a connection.
void begin_connecting(int agenda, int number);
void end_connecting(int agenda, int number);
// Whether the worker of this place has to stop waiting for its connection, as others need the worker.
bool must_give_up(int agenda, int number, int max_workers);

// An attempt of this database to open a server ended. Returns whether the breaker was open before.
bool server_answered(Oid server);
void server_failed(Oid server, std::uint64_t definition, const std::string& message);
// The open breaker of a server of this database whose definition is still the one that was tried.
std::optional<Reach> open_breaker(Oid server, std::uint64_t definition);
// Takes the next attempt, if its time has come; nobody else gets one before the next pause is over.
bool take_attempt(Oid server, std::uint64_t definition);
// The open breakers of this database.
std::vector<ServerReach> open_breakers();

// The pause after so many attempts without an answer, in microseconds.
constexpr TimestampTz attempt_pause(int failures) {
    constexpr TimestampTz longest = 5 * USECS_PER_MINUTE;
    const TimestampTz pause = USECS_PER_SEC << (failures < 1 ? 0 : failures > 10 ? 9 : failures - 1);
    return pause < longest ? pause : longest;
}

}  // namespace shared
}  // namespace insync
