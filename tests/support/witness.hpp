// What a connection tells its owner and its writers, checked as it comes: what writes claim (I2), and one outcome and
// one end for everything (I3 to I5).
#pragma once

#include "support/actor_world.hpp"
#include "support/connection_events.hpp"

#include <deque>
#include <map>

namespace actnet::test {

/// What a checker has to say, one line each; a test expects `none`.
using findings = std::vector<std::string>;
inline const findings none;

/// I2: compares what the outcomes of all writes to one connection claim with what sendmsg has taken on it.
class ack_ledger {
 public:
  void issued(std::uint64_t token, std::uint64_t bytes) { sizes_[token] = bytes; }

  /// `accepted`: the bytes that sendmsg had taken when the outcome came, or more.
  void ended(const stream::written& outcome, std::uint64_t accepted) {
    const auto size = sizes_[outcome.token];
    claimed_ += outcome.bytes;
    if (claimed_ > accepted)
      complain(outcome, "claims what the kernel has not taken");
    if (outcome.cause ? outcome.bytes >= std::max<std::uint64_t>(size, 1) : outcome.bytes != size)
      complain(outcome, outcome.cause ? "failed, though all of it went" : "succeeded with another size than it has");
    if (outcome.bytes > 0 && cut_)
      complain(outcome, "went after one that was cut");
    cut_ = cut_ || (outcome.cause && outcome.bytes > 0);
  }

  /// For the end, when every write has its outcome: none of what the kernel took is left out.
  void finish(std::uint64_t accepted) {
    if (claimed_ != accepted)
      found_.push_back("outcomes claim " + std::to_string(claimed_) + " bytes, the kernel took " +
                       std::to_string(accepted));
  }

  std::uint64_t claimed() const noexcept { return claimed_; }
  const findings& violations() const noexcept { return found_; }

 private:
  void complain(const stream::written& outcome, const char* what) {
    found_.push_back("write " + std::to_string(outcome.token) + " of " + std::to_string(outcome.bytes) + " bytes " +
                     what);
  }

  std::map<std::uint64_t, std::uint64_t> sizes_;
  std::uint64_t claimed_ = 0;
  bool cut_ = false;
  findings found_;
};

class witness;

/// What the witnesses of a test saw of their connections (I2 to I5). Declare it after the world: its end ends them and
/// waits for that. Any thread, unless it says otherwise.
class event_book {
 public:
  struct totals {
    std::size_t opened = 0;
    std::size_t closed = 0;
    std::size_t written = 0; ///< Writes that ended, either way.
    std::uint64_t bytes_received = 0;
  };

  explicit event_book(actor_world& world) : world_(world) {}
  ~event_book() { dismiss(); }
  event_book(const event_book&) = delete;
  event_book& operator=(const event_book&) = delete;

  totals so_far() const {
    std::lock_guard guard{mutex_};
    return totals_;
  }

  /// Waits until `condition(totals)`; without it the test ends here.
  template <class Condition>
  void await(Condition condition) const {
    std::unique_lock lock{mutex_};
    const auto reached = changed_.wait_for(lock, default_deadline, [&] { return condition(totals_); });
    INFO("opened " << totals_.opened << ", closed " << totals_.closed << ", written " << totals_.written
                   << ", received " << totals_.bytes_received);
    REQUIRE(reached);
  }

  /// All connections so far, in the order of opening; they answer `get_info` also after their end.
  std::vector<connection> subjects() const {
    std::lock_guard guard{mutex_};
    std::vector<connection> all;
    for (const auto& each : pages_)
      all.push_back(each.subject);
    return all;
  }

  /// The numbers, from 0 in the order of opening, of those that have closed, in that order.
  std::vector<std::size_t> closed() const {
    std::lock_guard guard{mutex_};
    return closed_;
  }

  /// The writes and finishes that were given to the `index`-th of them, and the bytes that the outcomes claim.
  std::pair<std::size_t, std::uint64_t> written_to(std::size_t index) const {
    std::lock_guard guard{mutex_};
    return {pages_[index].issued, pages_[index].acks.claimed()};
  }

  /// For the end of a test, when every connection has closed and nobody writes any more: what was not as it must be,
  /// until now. The test's thread.
  findings finish() {
    world_.settle(); // what is under way comes, also what must not
    std::lock_guard guard{mutex_};
    findings all;
    for (std::size_t i = 0; i < pages_.size(); ++i) {
      auto& each = pages_[i];
      each.events.finish();
      each.writes.finish();
      if (each.accepted)
        each.acks.finish(each.accepted());
      for (const auto* list : {&each.events.violations(), &each.writes.violations(), &each.acks.violations()})
        for (const auto& line : *list)
          all.push_back("connection " + std::to_string(i) + ": " + line);
    }
    return all;
  }

 private:
  friend class witness;

  struct page {
    connection subject;
    std::function<std::uint64_t()> accepted; // what sendmsg has taken; empty: not known
    std::size_t issued = 0;
    connection_events events;
    write_tally writes;
    ack_ledger acks;
  };

  /// Calls `change(page, totals)`.
  template <class F>
  void note(std::size_t number, F change) {
    std::lock_guard guard{mutex_};
    change(pages_[number], totals_);
    changed_.notify_all();
  }

  std::size_t open(connection subject, std::function<std::uint64_t()> accepted) {
    std::lock_guard guard{mutex_};
    auto& fresh = pages_.emplace_back();
    fresh.subject = std::move(subject);
    fresh.accepted = std::move(accepted);
    fresh.events.opened();
    ++totals_.opened;
    changed_.notify_all();
    return pages_.size() - 1;
  }

  void enlist(caf::actor who) {
    std::lock_guard guard{mutex_};
    witnesses_.push_back(std::move(who));
    ++present_;
  }

  void leaves() {
    std::lock_guard guard{mutex_};
    --present_;
    changed_.notify_all();
  }

  void dismiss() {
    std::unique_lock lock{mutex_};
    const auto all = std::exchange(witnesses_, {});
    lock.unlock();
    for (const auto& who : all)
      world_.kill(who);
    lock.lock();
    CHECK(changed_.wait_for(lock, default_deadline, [this] { return present_ == 0; }));
  }

  actor_world& world_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::deque<page> pages_;
  std::vector<std::size_t> closed_;
  totals totals_;
  std::vector<caf::actor> witnesses_;
  std::size_t present_ = 0;
};

/// Owns a connection, writes down what it is told and does `then` with what it receives. It stays when the connection
/// has closed, to see what must not come, and writes once more, to see what must.
class witness : public probe {
 public:
  using reaction = std::function<void(witness&, const net::bytes&)>;

  /// Gets its connection by `take`.
  witness(caf::actor_config& cfg, event_book* book, reaction then = echo)
      : probe(cfg, make_journal()), book_(book), then_(std::move(then)) {
    book_->enlist(caf::actor{this});
  }
  witness(caf::actor_config& cfg, connection c, event_book* book, reaction then = echo)
      : witness(cfg, book, std::move(then)) {
    take(std::move(c));
  }

  // -- in its own turn ---------------------------------------------------------------------

  /// Once. `accepted` tells what sendmsg has taken on the connection.
  void take(connection c, std::function<std::uint64_t()> accepted = {}) {
    peer = std::move(c);
    number_ = book_->open(peer, std::move(accepted));
  }

  void write(const net::bytes& payload) {
    const auto token = ++last_token_;
    book_->note(number_, [&](auto& page, auto&) {
      ++page.issued;
      page.writes.issued(token);
      page.acks.issued(token, payload.size());
    });
    peer.write(payload, token);
  }

  void finish() {
    book_->note(number_, [](auto& page, auto&) { ++page.issued; });
    peer.finish();
  }

  static void echo(witness& self, const net::bytes& payload) { self.write(payload); }

  caf::behavior make_behavior() override {
    using totals = event_book::totals;
    caf::message_handler checks{
        [this](const stream::received& r) {
          book_->note(number_, [&](auto& page, totals& sum) {
            page.events.received(r.payload.size());
            sum.bytes_received += r.payload.size();
          });
          then_(*this, r.payload);
        },
        [this](const stream::peer_finished&) {
          book_->note(number_, [](auto& page, totals&) { page.events.peer_finished(); });
        },
        [this](const stream::writable&) { book_->note(number_, [](auto& page, totals&) { page.events.writable(); }); },
        [this](const stream::written& w) {
          book_->note(number_, [&](auto& page, totals& sum) {
            page.events.written(!w.cause);
            w.cause ? page.writes.failed(w.token) : page.writes.written(w.token);
            page.acks.ended(w, page.accepted ? page.accepted() : ~std::uint64_t{0});
            ++sum.written;
          });
        },
        [this](const stream::closed&) {
          book_->note(number_, [this](auto& page, totals& sum) {
            page.events.closed();
            ++sum.closed;
            book_->closed_.push_back(number_);
          });
          write(net::bytes::copy("late"));
        },
    };
    return checks.or_else(everything());
  }

  void on_exit() override { book_->leaves(); }

 private:
  event_book* book_;
  reaction then_;
  std::size_t number_ = 0;
  std::uint64_t last_token_ = 0;
};

/// A world of its own with a listener on loopback whose connections are witnesses.
struct witness_server {
  explicit witness_server(std::size_t loop_count, const listen_options& options = {}, net::clock* time = nullptr)
      : world(loop_count, time), book(world), boss(world.spawn(log)) {
    world.in(boss, [&](probe& self) { listens = self.listen("127.0.0.1:0", options).each<witness>(&book); });
    log->expect("listening");
    port = world.port_of(boss);
  }
  ~witness_server() { // nobody may come when the book is gone
    world.kill(listens.actor());
    CHECK(eventually([this] { return log->count_like("listener_closed") == 1; }));
  }

  void await_closed(std::size_t count) const {
    book.await([count](const event_book::totals& t) { return t.closed == count; });
  }

  actor_world world;
  event_book book;
  journal_ptr log = make_journal(); ///< Of the boss.
  caf::actor boss;
  listener listens;
  std::uint16_t port = 0;
};

} // namespace actnet::test
