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
  bool frame_waits = false; // for credit, or to be resumed

  void update_timer() noexcept {
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

 private:
  connection& of_;
};

} // namespace actnet::net
