// A session: one person's connection. It cuts bytes into lines, speaks for the person in the room, and writes what it
// hears.
#pragma once

#include "room.hpp"

#include <deque>
#include <string>
#include <string_view>

namespace chat {

/// Says one line after another, the next when the room has answered, and reads no more meanwhile: what is sent while
/// the room is away waits in the kernel. It knows the room by its stable handle, which is good for any room that comes
/// after a crash, and monitors the room that let it in: when that one ends, it joins the next, and says there what the
/// other did not answer. If somebody else was there first under its name, it takes one like it: what the person has
/// written by then is for the room, and not to be taken for a name.
class session final : public actnet::handler {
 public:
  session(caf::actor_config& cfg, actnet::connection c, caf::actor room);

  const char* name() const override { return "chat.session"; }
  caf::behavior make_behavior() override;
  void on_exit() override;

 private:
  void take(std::string_view text);
  void serve_lines();
  void serve(std::string line);
  void choose_name(std::string line);
  template <class Message>
  void tell_room(Message message, std::string line);
  void join_room();
  void wait();
  void go_on();
  void write(std::string_view line);

  const actnet::connection peer_;
  caf::actor room_;
  std::string name_;              // empty: not chosen yet
  std::string begun_;             // the beginning of a line
  std::deque<std::string> lines_; // whole ones
  caf::actor_addr in_;            // the room that let it in, until that ends
  bool was_in_ = false;           // that one, or one before
  bool waits_ = false;            // for the room
  bool finished_ = false;         // the person: what there is of lines is still said
};

} // namespace chat
