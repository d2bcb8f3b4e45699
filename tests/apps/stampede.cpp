// A stampede: for 20 seconds random actors of a busy tree are killed while clients talk. Afterwards everything answers,
// nothing is left over, and the log explains every restart.
#include "support/actor_world.hpp"
#include "support/peers.hpp"
#include "support/sanitizer.hpp"

#include "actnet/actors/supervision/supervisor.hpp"
#include "actnet/actors/supervision/tree.hpp"

#include "../../apps/chat_server/room.hpp"
#include "../../apps/chat_server/session.hpp"

#include <atomic>
#include <map>
#include <random>
#include <thread>

using namespace actnet;
using namespace actnet::test;

namespace {

constexpr auto how_long = sanitized ? 8s : 20s;

struct stream_echo final : handler {
  connection peer;
  stream_echo(caf::actor_config& cfg, connection c) : handler(cfg), peer(std::move(c)) {}
  caf::behavior make_behavior() override {
    return {[this](const stream::received& r) {
      if (r.payload.view() == "die\n")
        throw std::runtime_error{"as told"};
      peer.write(r.payload);
    }};
  }
};

struct datagram_echo final : handler {
  datagram_socket socket;
  datagram_echo(caf::actor_config& cfg, datagram_socket s) : handler(cfg), socket(std::move(s)) {}
  caf::behavior make_behavior() override {
    return {[this](const datagram::received& r) {
      if (r.payload.view() == "die\n")
        throw std::runtime_error{"as told"};
      socket.send_to(r.from, r.payload);
    }};
  }
};

std::uint16_t free_udp_port() {
  return udp_peer{}.port();
}

std::uint16_t free_tcp_port() {
  return listening_peer{}.port();
}

/// Two levels of supervisors; TCP, UDP and Unix; echoes and a chat room.
struct tree {
  const std::string steady = fresh_address(carrier::local);
  const std::string tcp = "127.0.0.1:" + std::to_string(free_tcp_port());
  const std::string chat = fresh_address(carrier::local);
  const std::uint16_t udp = free_udp_port();

  static child_spec listener_child(std::string id, std::string where) {
    child_spec spec;
    spec.id = std::move(id);
    spec.start = [where](const start_context& my) -> started_child { return my.listen(where).each<stream_echo>(); };
    return spec;
  }

  std::vector<child_spec> children() const {
    child_spec datagrams;
    datagrams.id = "udp";
    datagrams.start = [port = udp](const start_context& my) -> started_child {
      return my.bind("udp://127.0.0.1:" + std::to_string(port)).with<datagram_echo>();
    };
    child_spec door;
    door.id = "door";
    door.start = [where = chat](const start_context& my) -> started_child {
      return my.listen(where).each<chat::session>(my.sibling("room"));
    };
    const auto how = [](strategy s) {
      supervisor_options options;
      options.strategy = s;
      options.intensity = 1'000'000;
      options.backoff = {2ms, 50ms, 50, 1s};
      return options;
    };
    return {listener_child("steady", steady),
            supervise("echoes", how(strategy::one_for_one), {listener_child("tcp", tcp), datagrams}),
            supervise("chat", how(strategy::rest_for_one), {worker<chat::room>("room"), door})};
  }
};

void collect(const tree_node& node, std::vector<child_info>& all) {
  for (const auto& each : node.children) {
    all.push_back(each.self);
    collect(each, all);
  }
}

bool echoes(peer& p, const std::string& text) {
  p.send_all(text);
  return p.read_exactly(text.size()) == text;
}

template <class F>
bool succeeds(F what) {
  try {
    return what();
  } catch (const std::runtime_error&) {
    return false;
  }
}

} // namespace

TEST_CASE("a stampede through the tree harms nobody for good", "[apps]") {
  captured_log log;
  actor_world world{2};
  const tree places;
  supervisor_options patient;
  patient.intensity = 1'000'000;
  patient.backoff = {2ms, 50ms, 50, 1s};
  const auto top = start_supervisor(world.system(), "top", patient, places.children());
  const auto all_children = [&] {
    std::vector<child_info> all;
    const auto found = world.ask<tree_node>(top, get_tree{}).first;
    REQUIRE(found);
    collect(*found, all);
    return all;
  };
  REQUIRE(eventually([&] { return all_children().size() == 7; }));

  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> answered{0};
  std::atomic<int> bystanders_lost{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) // whose listener is killed again and again, but they are not
    threads.emplace_back([&, i] {
      try {
        peer bystander(places.steady);
        for (std::uint64_t n = 0; !over; ++n)
          if (!echoes(bystander, "bystander " + std::to_string(i) + " " + std::to_string(n) + "\n"))
            ++bystanders_lost;
      } catch (const std::runtime_error&) {
        ++bystanders_lost;
      }
    });
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&, i] {
      std::minstd_rand random(static_cast<unsigned>(i + 1));
      const peer_options impatient{.deadline = 500ms};
      while (!over)
        succeeds([&] {
          switch (random() % 4) {
          case 0: {
            udp_peer p(impatient);
            p.send_to(places.udp, random() % 50 == 0 ? "die\n" : "hello");
            p.receive();
            break;
          }
          case 1: {
            peer p(places.chat, impatient);
            p.send_all("guest" + std::to_string(random()) + "\nhello\n");
            p.read_some(100);
            break;
          }
          default: {
            peer p(random() % 2 == 0 ? places.tcp : places.steady, impatient);
            for (int n = 0; n < 5; ++n)
              echoes(p, random() % 50 == 0 ? "die\n" : "hello");
          }
          }
          ++answered;
          return true;
        });
    });

  std::minstd_rand random(7);
  std::size_t killed = 0;
  for (const auto until = std::chrono::steady_clock::now() + how_long; std::chrono::steady_clock::now() < until;) {
    const auto victims = all_children();
    const auto& victim = victims[random() % victims.size()];
    if (victim.actor) {
      caf::anon_send_exit(victim.actor, random() % 2 == 0 ? caf::exit_reason::kill : caf::exit_reason::out_of_workers);
      ++killed;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{random() % 20}); // a pace, not a wait
  }
  // All of it answers, whoever was killed last.
  CHECK(eventually([&] { return succeeds([&] { return echoes(*std::make_unique<peer>(places.tcp), "tcp"); }); }));
  CHECK(eventually([&] { return succeeds([&] { return echoes(*std::make_unique<peer>(places.steady), "unix"); }); }));
  CHECK(eventually([&] {
    return succeeds([&] {
      udp_peer p(peer_options{.deadline = 500ms});
      p.send_to(places.udp, "udp");
      return p.receive().payload == "udp";
    });
  }));
  CHECK(eventually(
      [&] { return succeeds([&] { return peer(places.chat).read_exactly(20) == "* what is your name?"; }); }));
  over = true;
  for (auto& each : threads)
    each.join();
  CHECK(bystanders_lost == 0);
  CHECK(killed > 100);
  CHECK(answered > 100);

  const auto lines = log.lines.lines();
  for (const auto& each : all_children()) {
    const auto prefix = "supervisor: " + each.path + " ended: ";
    const auto told = static_cast<std::uint64_t>(std::count_if(lines.begin(), lines.end(), [&](const std::string& l) {
      return l.starts_with(prefix) || l.starts_with("supervisor: " + each.path + " did not start again: ") ||
             l.starts_with("supervisor: " + each.path + " is started again with ");
    }));
    INFO(each.path << " was started again " << each.restarts << " times, of which the log tells " << told);
    CHECK(told >= each.restarts);
  }
  caf::anon_send_exit(top.actor(), caf::exit_reason::user_shutdown);
}
