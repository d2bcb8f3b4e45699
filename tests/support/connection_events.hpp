// What one connection may tell its owner, in which order, and how its writes end (invariants I3, I4, I5). Both classes
// are for the owner's thread; ask them for violations when it has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace actnet::test {

/// Every token ends exactly once, and those that end without an error end in the order of issue. A token that is
/// refused or failed may overtake. Token 0 marks a write whose success is silent: only its failure is reported.
class write_tally {
 public:
  void issued(std::uint64_t token) {
    if (token == 0)
      ++silent_;
    else if (!issue_order_.emplace(token, issue_order_.size()).second)
      complain("issued twice", token);
    else
      open_.insert(token);
  }

  /// The write is in the kernel's send buffer.
  void written(std::uint64_t token) {
    if (token == 0)
      return complain("success was reported", token);
    if (!end(token))
      return;
    if (issue_order_[token] < next_in_order_)
      complain("written after one that was issued later", token);
    else
      next_in_order_ = issue_order_[token] + 1;
    ++written_;
  }

  /// The write was refused or failed.
  void failed(std::uint64_t token) {
    if (token != 0) {
      failed_ += end(token) ? 1 : 0;
    } else if (silent_failed_ == silent_) {
      complain("failed more often than it was issued", token);
    } else {
      ++silent_failed_;
    }
  }

  /// For the end of a test: complains about every token without an outcome.
  void finish() {
    for (const auto token : std::exchange(open_, {}))
      complain("never ended", token);
  }

  /// Tokens other than 0; `issued_count() == written_count() + failed_count()` once all have ended.
  std::size_t issued_count() const noexcept { return issue_order_.size(); }
  std::size_t written_count() const noexcept { return written_; }
  std::size_t failed_count() const noexcept { return failed_; }
  std::size_t open_count() const noexcept { return open_.size(); }

  const std::vector<std::string>& violations() const noexcept { return violations_; }

 private:
  bool end(std::uint64_t token) {
    if (open_.erase(token) == 1)
      return true;
    complain(issue_order_.contains(token) ? "ended twice" : "ended but was never issued", token);
    return false;
  }

  void complain(const char* what, std::uint64_t token) {
    violations_.push_back("write " + std::to_string(token) + ": " + what);
  }

  std::map<std::uint64_t, std::size_t> issue_order_;
  std::set<std::uint64_t> open_;
  std::size_t next_in_order_ = 0;
  std::size_t written_ = 0;
  std::size_t failed_ = 0;
  std::size_t silent_ = 0;
  std::size_t silent_failed_ = 0;
  std::vector<std::string> violations_;
};

/// The automaton of one connection's events:
///
///     fresh --opened--> open --peer_finished--> half --closed--> over      open --closed--> over
///
/// `received` only in open; `writable` in open and half; nothing in over but the failure of a write that came too
/// late. A refused write may be answered before `opened`, while the connection is being made.
class connection_events {
 public:
  /// `accepted` or `connected`.
  void opened() {
    if (state_ != state::fresh)
      complain("opened");
    else
      state_ = state::open;
  }

  void received(std::size_t bytes) {
    if (state_ != state::open)
      complain("received");
    bytes_received_ += bytes;
  }

  void peer_finished() {
    if (state_ != state::open)
      complain("peer_finished");
    else
      state_ = state::half;
  }

  void writable() {
    if (state_ != state::open && state_ != state::half)
      complain("writable");
  }

  void written(bool succeeded) {
    if (succeeded && state_ != state::open && state_ != state::half)
      complain("written");
  }

  void closed() {
    if (state_ == state::fresh || state_ == state::over)
      complain("closed");
    state_ = state::over;
  }

  /// For the end of a test: complains unless the connection was opened and closed.
  void finish() {
    if (state_ != state::over)
      complain("end of the test");
  }

  bool is_closed() const noexcept { return state_ == state::over; }
  std::size_t bytes_received() const noexcept { return bytes_received_; }

  /// One line per event that came in a wrong state, in order.
  const std::vector<std::string>& violations() const noexcept { return violations_; }

 private:
  enum class state { fresh, open, half, over };

  void complain(const std::string& event) {
    static constexpr const char* when[] = {"before opened", "while open", "after peer_finished", "after closed"};
    violations_.push_back(event + " " + when[static_cast<std::size_t>(state_)]);
  }

  state state_ = state::fresh;
  std::size_t bytes_received_ = 0;
  std::vector<std::string> violations_;
};

} // namespace actnet::test
