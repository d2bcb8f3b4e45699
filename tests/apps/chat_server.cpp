// The chat room as people meet it, and what becomes of it when its actors are killed.
#include "apps/programs.hpp"
#include "support/actor_world.hpp"

#include "actnet/actors/supervision/supervisor.hpp"

#include "../../apps/chat_server/room.hpp"
#include "../../apps/chat_server/session.hpp"

using namespace actnet;
using namespace actnet::test;
using stream_of = process::stream;

namespace {

/// Somebody in the room.
class person {
 public:
  person(peer connection, const std::string& name) : peer_(std::move(connection)) {
    CHECK(hear() == "* what is your name?");
    say(name);
  }

  /// Others that come from now on come later.
  void await_entry(const std::string& name) {
    say("/to " + name + " am I in?");
    CHECK(hear() == name + " (private): am I in?");
  }

  /// After a crash of the room: others that speak from now on are heard. And what was said before has been.
  void await_return(const std::string& name) {
    say("/to " + name + " am I back?");
    for (auto heard = hear(); heard != name + " (private): am I back?"; heard = hear())
      CHECK(heard.ends_with(" joined"));
  }

  void say(const std::string& line) { peer_.send_all(line + "\n"); }

  std::string hear() {
    std::string line;
    while (!line.ends_with('\n'))
      line += peer_.read_exactly(1);
    line.pop_back();
    return line;
  }

  peer& connection() { return peer_; }

 private:
  peer peer_;
};

/// A room that writes down what it is asked, and fails at the first line as `trouble` has it.
enum class trouble { crash, unknown_sender, name_taken_after_a_crash };

class troubled_room final : public handler {
 public:
  troubled_room(caf::actor_config& cfg, journal_ptr log, trouble what)
      : handler(cfg), log_(std::move(log)), what_(what) {}

  caf::behavior make_behavior() override {
    return {
        [this](const chat::enter& e) -> caf::result<caf::ok_atom> {
          log_->add("enter " + e.name);
          if (what_ == trouble::name_taken_after_a_crash && log_->count_like("say ") == 1 && e.name == "anna")
            return make_error(errc::already_present, "the name anna is taken");
          return caf::ok_atom_v;
        },
        [this](const chat::say& s) -> caf::result<caf::ok_atom> {
          log_->add("say " + s.line);
          if (log_->count_like("say ") > 1)
            return caf::ok_atom_v;
          if (what_ == trouble::unknown_sender)
            return make_error(errc::not_found);
          throw std::runtime_error{"trouble"};
        },
    };
  }

 private:
  const journal_ptr log_;
  const trouble what_;
};

/// The tree of the program, with the room's actor within reach.
struct room_world : actor_world {
  room_world() : room_world(worker<chat::room>("room")) {}

  explicit room_world(child_spec room) {
    child_spec door;
    door.id = "door";
    door.start = [this](const start_context& my) -> started_child {
      return my.listen(address, options).each<chat::session>(my.sibling("room"));
    };
    supervisor_options often;
    often.intensity = 100;
    top = start_supervisor(system(), "top", often, {std::move(room), door});
    (void)child("door"); // it listens once the supervisor answers
  }
  ~room_world() { caf::anon_send_exit(top.actor(), caf::exit_reason::user_shutdown); }

  static listen_options as_the_program() {
    listen_options options;
    options.connection.allow_half_open = true;
    options.connection.when_slow = slow_peer::close;
    options.connection.write_high_bytes = 64 * 1024;
    return options;
  }

  child_info child(const std::string& id) {
    const auto all = *ask<child_list>(top, which_children{}).first;
    for (const auto& each : all.children)
      if (each.id == id)
        return each;
    throw std::runtime_error{"no child"};
  }

  void kill_room() {
    const auto before = child("room");
    kill(before.actor);
    REQUIRE(eventually([&] {
      const auto now = child("room");
      return now.restarts > before.restarts && now.state == child_state::running;
    }));
  }

  person enter(const std::string& name) {
    person who{peer(address), name};
    who.await_entry(name);
    return who;
  }

  const std::string address = fresh_address(carrier::local);
  const listen_options options = as_the_program();
  supervisor top;
};

} // namespace

TEST_CASE("nobody steers the terminals of others, by lines or by a name", "[apps]") {
  process server({.argv = {app("chat_server"), "127.0.0.1:0"}, .input = ""});
  const auto port = port_of(server);
  person anna(peer(port), "anna");
  anna.await_entry("anna");
  person mallory(peer(port), "mal\xc2\x9blory");
  for (const auto* name : {"mal\x9blory", "mal\x1b[2Jlory", "mal\tlory", "mal\xfflory", "m\xc3\xa4llory"}) {
    CHECK(mallory.hear() == "* a name has 1 to 32 characters, no spaces and no colon");
    mallory.say(name);
  }
  CHECK(anna.hear() == "* m\xc3\xa4llory joined");
  mallory.say("hi\r* bob left\x1b[2J\x1b]0;owned\x07 \xc2\x9b \x9b \xe2\x82\xac");
  const std::string no = "\xef\xbf\xbd";
  const auto shown =
      "hi" + no + "* bob left" + no + "[2J" + no + "]0;owned" + no + " " + no + " " + no + " \xe2\x82\xac";
  CHECK(anna.hear() == "m\xc3\xa4llory: " + shown);
  mallory.say("/to anna \x1b[2J");
  CHECK(anna.hear() == "m\xc3\xa4llory (private): " + no + "[2J");
  mallory.say("/to \x1b[2J x");
  CHECK(mallory.hear() == "* nobody here is called " + no + "[2J");
}

TEST_CASE("people hear each other, who comes and goes, and what is said to them alone", "[apps]") {
  const scratch_folder folder;
  const auto path = folder / "chat";
  process server({.argv = {app("chat_server"), "127.0.0.1:0", "unix:" + path}, .input = ""});
  const auto port = port_of(server);
  server.wait_for_line(stream_of::err, "listening on unix:.*$");
  person anna(peer(port), "anna");
  anna.await_entry("anna");
  person bert(peer("unix:" + path), "bert\r");
  CHECK(anna.hear() == "* bert joined");
  bert.say("hello");
  CHECK(anna.hear() == "bert: hello");
  {
    person cara(peer(port), "bert");
    CHECK(cara.hear() == "* the name bert is taken");
    cara.say("c a");
    CHECK(cara.hear() == "* a name has 1 to 32 characters, no spaces and no colon");
    cara.say("cara");
    CHECK(anna.hear() == "* cara joined");
    CHECK(bert.hear() == "* cara joined");
    anna.say("/to cara psst");
    CHECK(cara.hear() == "anna (private): psst");
    anna.say("/to nobody psst");
    CHECK(anna.hear() == "* nobody here is called nobody");
    anna.say("/to cara");
    CHECK(anna.hear() == "* /to NAME LINE says LINE to NAME alone");
  }
  CHECK(anna.hear() == "* cara left");
  CHECK(bert.hear() == "* cara left");
  anna.connection().send_all(std::string(5'000, 'x'));
  CHECK(anna.hear() == "* a line has at most 4096 bytes");
  anna.connection().close();
  CHECK(bert.hear() == "* anna left");
  server.send_signal(SIGUSR1);
  server.wait_for_line(stream_of::err, "^main/room +running, 0 restarts$");
  server.send_signal(SIGTERM);
  bert.connection().close();
  CHECK(server.wait() == exit_status{0, 0});
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("the room comes back after a crash, and all who are there are in it again", "[apps]") {
  room_world world;
  auto anna = world.enter("anna");
  auto bert = world.enter("bert");
  CHECK(anna.hear() == "* bert joined");
  for (int i = 0; i < 5; ++i) {
    world.kill_room();
    const auto line = "line " + std::to_string(i);
    anna.await_return("anna");
    bert.say(line); // waits until he is in again
    for (auto heard = anna.hear(); heard != "bert: " + line; heard = anna.hear())
      CHECK(heard == "* bert joined");
    anna.say("yes");
    for (auto heard = bert.hear(); heard != "anna: yes"; heard = bert.hear())
      CHECK(heard == "* anna joined");
  }
  auto cara = world.enter("cara"); // by the same door
  CHECK(anna.hear() == "* cara joined");
}

TEST_CASE("a line that a room fails to take is said in the next, before those behind it", "[apps]") {
  const auto what = GENERATE(trouble::crash, trouble::unknown_sender, trouble::name_taken_after_a_crash);
  const auto asked = make_journal();
  room_world world(worker<troubled_room>("room", asked, what));
  person anna(peer(world.address), "anna\none\ntwo\nthree");
  asked->expect("say three");
  std::vector<std::string> expected{"enter anna", "say one", "enter anna", "say one", "say two", "say three"};
  if (what == trouble::name_taken_after_a_crash) {
    expected.insert(expected.begin() + 3, "enter anna_");
    CHECK(anna.hear() == "* the name anna is taken");
    CHECK(anna.hear() == "* from now on you are anna_");
  }
  CHECK(asked->lines() == expected);
}

TEST_CASE("who finds the name taken after a crash has another, and no line is taken for a name", "[apps]") {
  const auto stranger = std::make_shared<caf::actor>(); // is in each new room before all others
  child_spec room;
  room.id = "room";
  room.start = [stranger](const start_context& my) -> started_child {
    auto made = my.spawn<chat::room>();
    if (*stranger)
      caf::send_as(*stranger, made, chat::enter{"anna"});
    return made;
  };
  room_world world(room);
  auto anna = world.enter("anna");
  auto bert = world.enter("bert");
  CHECK(anna.hear() == "* bert joined");
  *stranger = world.spawn(make_journal());
  world.kill_room();
  bert.await_return("bert");
  anna.say("hello");
  CHECK(anna.hear() == "* the name anna is taken");
  CHECK(anna.hear() == "* from now on you are anna_");
  for (auto heard = bert.hear(); heard != "anna_: hello"; heard = bert.hear())
    CHECK(heard == "* anna_ joined");
}

TEST_CASE("what somebody wrote before the end of the stream is said before that is told", "[apps]") {
  room_world world;
  auto anna = world.enter("anna");
  peer bert(world.address);
  std::string lines = "bert\n";
  for (int i = 0; i < 100; ++i)
    lines += "line " + std::to_string(i) + "\n";
  bert.send_all(lines);
  bert.finish();
  CHECK(anna.hear() == "* bert joined");
  for (int i = 0; i < 100; ++i)
    CHECK(anna.hear() == "bert: line " + std::to_string(i));
  CHECK(anna.hear() == "* bert left");
  CHECK(bert.read_to_end().ends_with("name?\n"));
}

TEST_CASE("who does not read is dropped, and the others go on", "[apps]") {
  room_world world;
  auto anna = world.enter("anna");
  auto bert = world.enter("bert");
  CHECK(anna.hear() == "* bert joined");
  const std::string much(4'000, 'x');
  bool dropped = false;
  for (int i = 0; i < 2'000 && !dropped; ++i) {
    anna.say(much);
    dropped = anna.connection().unread() > 0;
  }
  CHECK(anna.hear() == "* bert left");
  anna.await_return("anna"); // once all of that has been said
  auto cara = world.enter("cara");
  CHECK(anna.hear() == "* cara joined");
}
