#include "support/actor_world.hpp"

#include <caf/actor_registry.hpp>
#include <caf/response_handle.hpp>
#include <caf/send.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <future>
#include <stdexcept>

namespace actnet::test {

// -- journal ------------------------------------------------------------------------------------------------------

void journal::add(std::string line) {
  std::lock_guard guard{mutex_};
  lines_.push_back(std::move(line));
  changed_.notify_all();
}

std::vector<std::string> journal::lines() const {
  std::lock_guard guard{mutex_};
  return lines_;
}

std::size_t journal::count(std::string_view line) const {
  std::lock_guard guard{mutex_};
  return static_cast<std::size_t>(std::count(lines_.begin(), lines_.end(), line));
}

std::size_t journal::count_like(std::string_view prefix) const {
  std::lock_guard guard{mutex_};
  return like(prefix);
}

void journal::expect(std::string_view line, std::size_t times) const {
  std::unique_lock lock{mutex_};
  const auto found = changed_.wait_for(lock, default_deadline, [&] {
    return std::count(lines_.begin(), lines_.end(), line) >= static_cast<std::ptrdiff_t>(times);
  });
  lock.unlock();
  INFO("expected " << line << ", " << times << " times, in:" << text());
  REQUIRE(found);
}

void journal::expect_like(std::string_view prefix, std::size_t times) const {
  std::unique_lock lock{mutex_};
  const auto found = changed_.wait_for(lock, default_deadline, [&] { return like(prefix) >= times; });
  lock.unlock();
  INFO("expected " << prefix << "..., " << times << " times, in:" << text());
  REQUIRE(found);
}

std::string journal::text() const {
  std::string all;
  for (const auto& line : lines())
    all += "\n  " + line;
  return all;
}

std::size_t journal::like(std::string_view prefix) const {
  return static_cast<std::size_t>(
      std::count_if(lines_.begin(), lines_.end(), [&](const std::string& l) { return l.starts_with(prefix); }));
}

// -- probe --------------------------------------------------------------------------------------------------------

std::string with_cause(std::string what, const caf::error& cause) {
  return cause ? std::move(what) + ": " + to_text(cause) : what;
}
std::string with_cause(std::string what, errc cause) {
  return std::move(what) + ": " + std::string{to_string(cause)};
}

namespace {

std::string shown(const net::bytes& payload) {
  return payload.size() <= 32 ? std::string{payload.view()} : std::to_string(payload.size()) + " bytes";
}

} // namespace

probe::probe(caf::actor_config& cfg, journal_ptr log, hook then)
    : handler(cfg), log_(std::move(log)), then_(std::move(then)) {}
probe::probe(caf::actor_config& cfg, connection c, journal_ptr log, hook then)
    : handler(cfg), peer(std::move(c)), log_(std::move(log)), then_(std::move(then)), ends_with_peer_(true) {}
probe::probe(caf::actor_config& cfg, datagram_socket s, journal_ptr log, hook then)
    : handler(cfg), socket(std::move(s)), log_(std::move(log)), then_(std::move(then)), ends_with_peer_(true) {}

probe::~probe() = default;

void probe::note(std::string line) {
  log_->add(line);
  if (then_)
    then_(*this, line);
}

caf::behavior probe::make_behavior() {
  return everything();
}

caf::behavior probe::everything() {
  caf::message_handler streams{
      [this](const perform& p) { p.what(*this); },
      [this](const stream::received& r) {
        received_text += r.payload.view();
        if (keeps)
          kept.push_back(r.payload);
        note("received " + shown(r.payload));
      },
      [this](const stream::peer_finished&) { note("peer_finished"); },
      [this](const stream::writable&) { note("writable"); },
      [this](const stream::written& w) {
        note(with_cause("written " + std::to_string(w.token) + " " + std::to_string(w.bytes), w.cause));
      },
      [this](const stream::finished& f) { note(with_cause("finished", f.cause)); },
      [this](const stream::closed& c) {
        note(with_cause("closed " + std::string{to_string(c.reason)}, c.cause));
        if (ends_with_peer_)
          quit(c.cause);
      },
  };
  caf::message_handler openers{
      [this](const listening& l) {
        local = l.local;
        note("listening");
      },
      [this](const listen_failed& f) { note(with_cause("listen_failed", f.cause)); },
      [this](const listener_closed& c) { note(with_cause("listener_closed", c.cause)); },
      [this](const accepted& a) {
        peer = a.connection;
        accepted_connections.push_back(a.connection);
        note("accepted");
      },
      [this](const connected& c) {
        peer = c.connection;
        note("connected");
      },
      [this](const connect_failed& f) { note(with_cause("connect_failed", f.cause)); },
  };
  caf::message_handler datagrams{
      [this](const bound& b) {
        socket = b.socket;
        local = b.local;
        note("bound");
      },
      [this](const bind_failed& f) { note(with_cause("bind_failed", f.cause)); },
      [this](const datagram::received& r) {
        if (keeps)
          kept.push_back(r.payload);
        note("datagram " + shown(r.payload) + (r.truncated ? " truncated" : ""));
      },
      [this](const datagram::sent& s) { note(with_cause("sent " + std::to_string(s.token), s.cause)); },
      [this](const datagram::writable&) { note("datagram writable"); },
      [this](const datagram::closed& c) {
        note(with_cause("datagram closed " + std::string{to_string(c.reason)}, c.cause));
        if (ends_with_peer_)
          quit(c.cause);
      },
  };
  return streams.or_else(openers).or_else(datagrams);
}

// -- captured_log -------------------------------------------------------------------------------------------------

captured_log::captured_log()
    : before_(
          net::set_log_sink(net::log_sink::direct([this](net::log_level, std::string_view kind, std::string_view text) {
            lines.add(std::string{kind} + ": " + std::string{text});
          }))) {
  net::set_log_clock(net::monotonic_clock::instance());
}

captured_log::~captured_log() {
  net::set_log_sink(std::move(before_));
}

// -- connected_pair -----------------------------------------------------------------------------------------------

namespace {

std::pair<descriptor, peer> by_tcp(peer_options options) {
  listening_peer listener{options};
  descriptor made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(listener.port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(made.fd(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
    throw std::runtime_error{"connect"};
  return {std::move(made), listener.accept()};
}

/// A Unix receiver has no buffer of its own: what the sender may have under way bounds it (unix(7)).
std::pair<descriptor, peer> by_socketpair(peer_options options) {
  int both[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) != 0)
    throw std::runtime_error{"socketpair"};
  if (const int room = options.receive_buffer_bytes; room > 0)
    ::setsockopt(both[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  return {descriptor{both[0]}, peer{descriptor{both[1]}, options, both[0]}};
}

} // namespace

connected_pair::connected_pair(peer_options options, carrier kind)
    : connected_pair(kind == carrier::tcp ? by_tcp(options) : by_socketpair(options), kind) {}

connected_pair::connected_pair(ends both, carrier kind)
    : near(std::move(both.first)), far(std::move(both.second)), over(kind) {}

// -- actor_world --------------------------------------------------------------------------------------------------

actor_world::actor_world(std::size_t loops, net::clock* time, const actnet::settings& others) {
  config_.settings = others;
  config_.settings.loops.count = loops;
  config_.settings.loops.time = time;
  config_.settings.loops.turn_alarm = 0ms; // a busy machine is no news here
  config_.set("scheduler.policy", caf::atom("sharing"));
  config_.set("scheduler.max-threads", std::uint64_t{1});
  system_.emplace(config_);
  system_->await_actors_before_shutdown(false);
}

actor_world::~actor_world() {
  end();
}

std::size_t actor_world::live_actors() {
  std::size_t all = system_->registry().running();
  for (std::size_t i = 0; i < loops::of(*system_).size(); ++i)
    all += loop(i).live_actors();
  return all;
}

caf::actor actor_world::spawn(journal_ptr log, hook then, std::size_t on_loop) {
  return owned(spawn_on<probe>(loop(on_loop), std::move(log), std::move(then)));
}

caf::actor actor_world::owned(caf::actor who) {
  owned_.push_back(who);
  return who;
}

void actor_world::in(const caf::actor& who, std::function<void(probe&)> what) {
  auto done = std::make_shared<std::promise<void>>();
  caf::anon_send(who, perform{[done, what = std::move(what)](probe& self) {
                   what(self);
                   done->set_value();
                 }});
  REQUIRE(done->get_future().wait_for(default_deadline) == std::future_status::ready);
}

const caf::actor& actor_world::asker() {
  if (!asker_)
    asker_ = spawn(make_journal());
  return asker_;
}

void actor_world::request(const caf::actor& who, handle to, caf::message command, std::future<void> is_there,
                          caf::behavior on_answer) {
  caf::anon_send(who, perform{[=](probe& self) {
                   const auto asked = self.request(to.actor(), caf::infinite, command);
                   self.add_multiplexed_response_handler(asked.id(), on_answer);
                 }});
  REQUIRE(is_there.wait_for(default_deadline) == std::future_status::ready);
}

stream::info actor_world::info(const connection& c) {
  return *ask<stream::info>(c, stream::get_info{}).first;
}

void actor_world::await_read(const connection& c, std::uint64_t bytes) {
  REQUIRE(eventually([&] { return info(c).bytes_received >= bytes; }));
}

std::uint16_t actor_world::port_of(const caf::actor& who) {
  return of(who, [](probe& self) { return self.local.port(); });
}

std::string actor_world::address_of(const caf::actor& who) {
  return of(who, [](probe& self) { return self.local.to_string(); });
}

connection actor_world::adopt(connected_pair& pair, const caf::actor& owner, connection_options options) {
  auto adopted = adopt_connection(*system_, pair.near.fd(), owner, options);
  REQUIRE(adopted);
  (void)pair.near.release();
  return *adopted;
}

void actor_world::settle() {
  for (int round = 0; round < 3; ++round)
    for (std::size_t i = 0; i < loops::of(*system_).size(); ++i) {
      std::promise<void> done;
      REQUIRE(loop(i).loop().post([](void* p, void*) noexcept { static_cast<std::promise<void>*>(p)->set_value(); },
                                  &done, nullptr));
      REQUIRE(done.get_future().wait_for(default_deadline) == std::future_status::ready);
    }
}

void actor_world::kill(const caf::actor& who, caf::exit_reason reason) {
  caf::anon_send_exit(who, reason);
}

void actor_world::end() {
  if (!system_)
    return;
  for (const auto& who : std::exchange(owned_, {}))
    kill(who);
  asker_ = nullptr;
  const auto gone = eventually([this] { return live_actors() == 0; });
  INFO("actors left over: " << live_actors());
  CHECK(gone);
  system_.reset();
}

void actor_world::shut_down() {
  owned_.clear();
  asker_ = nullptr;
  system_.reset();
}

} // namespace actnet::test
