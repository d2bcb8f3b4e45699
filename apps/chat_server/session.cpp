#include "session.hpp"

#include <algorithm>
#include <utility>

namespace chat {

namespace {

constexpr std::size_t line_max = 4096;
constexpr std::size_t name_max = 32;
constexpr std::chrono::milliseconds until_next_try{50};

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= name_max && text.front() != '/' && text.front() != '*' &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c != 0x7f && c != ':'; });
}

} // namespace

session::session(caf::actor_config& cfg, actnet::connection c, caf::actor room)
    : handler(cfg), peer_(std::move(c)), room_(std::move(room)) {
  set_down_handler([this](caf::scheduled_actor*, caf::down_msg&) { // the room is no more, or a new one is there
    if (!name_.empty())
      join_room();
  });
}

caf::behavior session::make_behavior() {
  write("* what is your name?");
  return {
      [this](const actnet::stream::received& r) { take(r.payload.view()); },
      [this](const heard& h) { peer_.write(h.line); },
  };
}

void session::on_exit() {
  home()->loop().timers().cancel(*this);
  room_ = nullptr;
}

void session::write(std::string_view line) {
  peer_.write(std::string{line} + "\n");
}

void session::take(std::string_view text) {
  unread_ += text;
  serve_lines();
}

void session::serve_lines() {
  std::size_t read = 0;
  while (!joining_) {
    const auto end = unread_.find('\n', read);
    if (std::min(end, unread_.size()) - read > line_max) {
      write("* a line has at most " + std::to_string(line_max) + " bytes");
      quit();
      return;
    }
    if (end == unread_.npos)
      break;
    auto line = unread_.substr(read, end - read);
    read = end + 1;
    if (line.ends_with('\r'))
      line.pop_back();
    take_line(std::move(line));
  }
  unread_.erase(0, read);
}

void session::take_line(std::string line) {
  if (name_.empty()) {
    if (is_name(line)) {
      name_ = std::move(line);
      join_room();
    } else {
      write("* a name has 1 to " + std::to_string(name_max) + " characters, no spaces and no colon");
    }
    return;
  }
  constexpr std::string_view private_command = "/to ";
  if (!line.starts_with(private_command)) {
    send(room_, say{std::move(line)});
    return;
  }
  line.erase(0, private_command.size());
  const auto end_of_name = line.find(' ');
  if (end_of_name == line.npos || end_of_name == 0)
    write("* /to NAME LINE says LINE to NAME alone");
  else
    send(room_, whisper{line.substr(0, end_of_name), line.substr(end_of_name + 1)});
}

void session::join_room() {
  joining_ = true;
  peer_.pause_reading();
  request(room_, caf::infinite, enter{name_})
      .then(
          [this](caf::ok_atom) {
            monitor(current_sender()); // the room itself, not its stable handle
            joining_ = false;
            peer_.resume_reading();
            serve_lines();
          },
          [this](const caf::error& why) {
            if (actnet::code_of(why) == actnet::errc::already_present) {
              write("* " + actnet::to_text(why));
              name_.clear();
              joining_ = false;
              peer_.resume_reading();
              serve_lines();
            } else { // there is no room just now
              home()->loop().timers().arm(*this, actnet::net::later(home()->loop().now(), until_next_try));
            }
          });
}

void session::on_timer(actnet::net::time_point) noexcept {
  join_room();
}

} // namespace chat
