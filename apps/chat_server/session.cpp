#include "session.hpp"

#include "actnet/net/printable.hpp"

#include <utility>

namespace chat {

namespace {

constexpr std::size_t line_max = 4096;
constexpr std::size_t name_max = 32;
constexpr std::chrono::milliseconds until_next_try{50};

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= name_max && text.front() != '/' && text.front() != '*' &&
         text.find_first_of(" :") == text.npos && actnet::net::without_controls(text) == text;
}

} // namespace

session::session(caf::actor_config& cfg, actnet::connection c, caf::actor room)
    : handler(cfg), peer_(std::move(c)), room_(std::move(room)) {
  set_down_handler([this](caf::scheduled_actor*, caf::down_msg& gone) {
    if (gone.source != in_)
      return; // it is in the next one already
    in_ = nullptr;
    if (!waits_)
      join_room();
  });
}

caf::behavior session::make_behavior() {
  write("* what is your name?");
  return {
      [this](const actnet::stream::received& r) { take(r.payload.view()); },
      [this](const actnet::stream::peer_finished&) {
        finished_ = true;
        serve_lines();
      },
      [this](const heard& h) { peer_.write(h.line); },
  };
}

void session::on_exit() {
  room_ = nullptr;
}

void session::write(std::string_view line) {
  peer_.write(std::string{line} + "\n");
}

// -- from the person -------------------------------------------------------------------------------

void session::take(std::string_view text) {
  begun_ += text;
  std::size_t begin = 0;
  for (auto end = begun_.find('\n'); end != begun_.npos; end = begun_.find('\n', begin)) {
    lines_.push_back(begun_.substr(begin, end - begin));
    begin = end + 1;
  }
  begun_.erase(0, begin);
  if (begun_.size() > line_max)
    lines_.push_back(std::exchange(begun_, {})); // its end will not make it shorter
  serve_lines();
}

void session::serve_lines() {
  while (!waits_ && !lines_.empty()) {
    auto line = std::move(lines_.front());
    lines_.pop_front();
    if (line.size() > line_max) {
      write("* a line has at most " + std::to_string(line_max) + " bytes");
      quit();
      return;
    }
    if (line.ends_with('\r'))
      line.pop_back();
    serve(std::move(line));
  }
  if (finished_ && !waits_)
    quit();
}

void session::serve(std::string line) {
  constexpr std::string_view private_command = "/to ";
  if (name_.empty())
    return choose_name(std::move(line));
  const auto shown = actnet::net::without_controls(line); // the terminals of the others would obey them
  if (!shown.starts_with(private_command))
    return tell_room(say{shown}, line);
  const auto to = shown.substr(private_command.size());
  const auto end_of_name = to.find(' ');
  if (end_of_name == to.npos || end_of_name == 0)
    write("* /to NAME LINE says LINE to NAME alone");
  else
    tell_room(whisper{to.substr(0, end_of_name), to.substr(end_of_name + 1)}, line);
}

void session::choose_name(std::string line) {
  if (!is_name(line))
    return write("* a name has 1 to " + std::to_string(name_max) + " characters, no spaces and no colon");
  name_ = std::move(line);
  join_room();
}

// -- to the room -----------------------------------------------------------------------------------

template <class Message>
void session::tell_room(Message message, std::string line) {
  wait();
  request(room_, caf::infinite, std::move(message))
      .then(
          [this](caf::ok_atom) {
            if (in_)
              go_on();
            else
              join_room();
          },
          [this, line = std::move(line)](const caf::error&) { // the room is gone, or new and does not know it yet
            lines_.push_front(line);
            in_ = nullptr;
            join_room();
          });
}

void session::join_room() {
  wait();
  request(room_, caf::infinite, enter{name_})
      .then(
          [this](caf::ok_atom) {
            in_ = caf::actor_cast<caf::actor_addr>(current_sender()); // the room itself, not its stable handle
            monitor(current_sender());
            was_in_ = true;
            go_on();
          },
          [this](const caf::error& why) {
            if (actnet::code_of(why) != actnet::errc::already_present) { // there is no room just now
              run_after(until_next_try, [this] { join_room(); });
              return;
            }
            write("* " + actnet::to_text(why));
            if (was_in_) {
              name_ += '_';
              write("* from now on you are " + name_);
              join_room();
            } else {
              name_.clear();
              go_on();
            }
          });
}

void session::wait() {
  waits_ = true;
  peer_.pause_reading();
}

void session::go_on() {
  waits_ = false;
  serve_lines();
  if (!waits_)
    peer_.resume_reading();
}

} // namespace chat
