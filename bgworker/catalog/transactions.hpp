// The transactions of a run: a worker's own, or those that a procedure chains. None is open while a source is waited
// for.
#pragma once

#include "bgworker/pg/spi.hpp"

namespace insync {

class Transactions {
  public:
    virtual ~Transactions() = default;
    virtual void begin() = 0;  // locks the extension first of all
    virtual void commit() = 0;
    virtual void rollback() = 0;  // also where none is open

    // Runs `body` in a transaction of its own; rolls back if it throws.
    template <typename Body>
    auto run(Body&& body) {
        try {
            begin();
            if constexpr (std::is_void_v<decltype(body())>) {
                body();
                commit();
            } else {
                auto result = body();
                commit();
                return result;
            }
        } catch (...) {
            rollback();
            throw;
        }
    }
};

// Reads the configuration again if the server was told to; outside of transactions.
void reload_settings();

// A background worker's. What the server is told to read again (SIGHUP) counts from the next one on.
class WorkerTransactions : public Transactions {
  public:
    void begin() override;
    void commit() override;
    void rollback() override;
};

// A procedure's: the caller's CALL has begun one, and each commit begins the next. Needs a non-atomic Spi in scope. The
// work stands in a subtransaction, so that an error in it leaves SPI as it was for the rollback.
class ProcedureTransactions : public Transactions {
  public:
    void begin() override;
    void commit() override;
    void rollback() override;

  private:
    std::optional<pg::Subtransaction> work_;
};

// Those of a function that isn't to end its caller's transaction: subtransactions of it, each of which sees what is
// committed when it begins. Isolation levels above read committed see less: refuses them. The caller has locked the
// extension.
class CallerTransactions : public Transactions {
  public:
    void begin() override;
    void commit() override;
    void rollback() override;

  private:
    std::optional<pg::Subtransaction> work_;
};

}  // namespace insync
