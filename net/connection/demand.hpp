// What a connection has that is or was read on demand, or in frames. Only for connection's own sources.
#pragma once

#include "actnet/net/connection/connection.hpp"

namespace actnet::net {

class connection::demand final : public timer {
 public:
  explicit demand(connection& of) noexcept : of_(of) {}

  pull_reader reader;
  bool pulling = true;
  bool pushes_next = false; // when the pulls that are queued are through
  bool only_reads = false;  // are frames
  bool frame_waits = false; // for credit, to be resumed, or for the next round

  /// What the reader holds back goes on in the next round of the loop, when all others have been served. An operation,
  /// a credit that comes back or the end of a turn do not: a turn could go on without end.
  void go_on_next_round() noexcept {
    if (!next_round_.armed())
      of_.loop_.timers().arm(next_round_, of_.loop_.now());
  }
  bool goes_on_next_round() const noexcept { return next_round_.armed(); }

  void update_timer() noexcept {
    if (reader.holds_back() && reader.has_pulls()) [[unlikely]]
      go_on_next_round();
    const auto next = reader.next_deadline();
    if (next != time_point::max() && (!armed() || next < deadline()))
      of_.loop_.judging_timers().arm(*this, next);
  }

  /// What was there in time has been read: the loop has gone round since.
  void on_timer(time_point now) noexcept override {
    reader.serve(now, true);
    update_timer();
    of_.note();
  }

  void cancel_timers() noexcept {
    of_.loop_.judging_timers().cancel(*this);
    of_.loop_.timers().cancel(next_round_);
  }

 private:
  class resumption final : public timer {
   public:
    explicit resumption(connection& of) noexcept : of_(of) {}
    void on_timer(time_point) noexcept override {
      of_.demand_->reader.next_turn();
      of_.note();
    }

   private:
    connection& of_;
  };

  connection& of_;
  resumption next_round_{of_};
};

} // namespace actnet::net
