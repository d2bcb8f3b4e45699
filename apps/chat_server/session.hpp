// A session: one person's connection. It cuts bytes into lines, speaks for the person in the room, and writes what it
// hears.
#pragma once

#include "room.hpp"

#include "actnet/net/loop/timers.hpp"

#include <string>
#include <string_view>

namespace chat {

/// Reads only while it is in the room, so what is sent while the room is away waits in the kernel. It knows the room by
/// its stable handle, which is good for any room that comes after a crash, and monitors the room that let it in: when
/// that one ends, it joins again.
class session final : public actnet::handler, private actnet::net::timer {
 public:
  session(caf::actor_config& cfg, actnet::connection c, caf::actor room);

  const char* name() const override { return "chat.session"; }
  caf::behavior make_behavior() override;
  void on_exit() override;

 private:
  void take(std::string_view text);
  void serve_lines();
  void take_line(std::string line);
  void join_room();
  void on_timer(actnet::net::time_point now) noexcept override;
  void write(std::string_view line);

  const actnet::connection peer_;
  caf::actor room_;
  std::string name_;   // empty: not chosen yet
  std::string unread_; // the beginning of a line, and whole ones while it is joining
  bool joining_ = false;
};

} // namespace chat
