// A stampede: for 20 seconds random actors of a busy tree are killed while clients talk: what is supervised, and
// connections, their handlers and chat sessions. Afterwards everything answers, nothing is left over, who was not meant
// has lost nothing, and the log explains every restart.
#include "support/actor_world.hpp"
#include "support/peers.hpp"
#include "support/sanitizer.hpp"

#include "actnet/actors/supervision/supervisor.hpp"
#include "actnet/actors/supervision/tree.hpp"

#include "../../apps/chat_server/room.hpp"
#include "../../apps/chat_server/session.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>

using namespace actnet;
using namespace actnet::test;

namespace {

constexpr auto how_long = sanitized ? 8s : 20s;

void pace(unsigned ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds{ms}); // not a wait
}

/// Actors that no supervisor knows: connections, and who serves them. Any thread.
class herd {
 public:
  void add(const caf::actor& who) {
    std::lock_guard guard{mutex_};
    all_.push_back(caf::actor_cast<caf::actor_addr>(who));
  }

  void clear() {
    std::lock_guard guard{mutex_};
    all_.clear();
  }

  /// One that still lives, if there is any, and not again.
  template <class Random>
  caf::actor take(Random& random) {
    std::lock_guard guard{mutex_};
    while (!all_.empty()) {
      std::swap(all_[random() % all_.size()], all_.back());
      const auto who = caf::actor_cast<caf::actor>(all_.back());
      all_.pop_back();
      if (who)
        return who;
    }
    return {};
  }

 private:
  std::mutex mutex_;
  std::vector<caf::actor_addr> all_;
};

/// Bystanders begin with this, and their connections are left alone.
constexpr std::string_view greeting = "bystander";

struct stream_echo final : handler {
  connection peer;
  std::shared_ptr<herd> victims;
  bool known = false;

  stream_echo(caf::actor_config& cfg, connection c, std::shared_ptr<herd> all)
      : handler(cfg), peer(std::move(c)), victims(std::move(all)) {}

  caf::behavior make_behavior() override {
    return {[this](const stream::received& r) {
      if (!std::exchange(known, true) && !r.payload.view().starts_with(greeting)) {
        victims->add(caf::actor{this});
        victims->add(peer.actor());
      }
      if (r.payload.view() == "die\n")
        throw std::runtime_error{"as told"};
      peer.write(r.payload);
    }};
  }
};

struct datagram_echo final : handler {
  datagram_socket socket;
  datagram_echo(caf::actor_config& cfg, datagram_socket s, std::shared_ptr<herd> victims)
      : handler(cfg), socket(std::move(s)) {
    if (victims)
      victims->add(caf::actor{this});
  }
  caf::behavior make_behavior() override {
    return {[this](const datagram::received& r) {
      if (r.payload.view() == "die\n")
        throw std::runtime_error{"as told"};
      socket.send_to(r.from, r.payload);
    }};
  }
};

std::string free_tcp_address() {
  return "127.0.0.1:" + std::to_string(listening_peer{}.port());
}

/// Two levels of supervisors; TCP, UDP and Unix; echoes and two chat rooms. Counts how often each child was started.
class tree {
 public:
  const std::string steady_unix = fresh_address(carrier::local); // whose connections outlive their listeners
  const std::string steady_tcp = free_tcp_address();
  const std::uint16_t calm_udp = udp_peer{}.port(); // never killed: its handler would be new, and lose what waits
  const std::string club = fresh_address(carrier::local);
  const std::string tcp = free_tcp_address();
  const std::string sharded = free_tcp_address(); // with a socket for each loop
  const std::uint16_t udp = udp_peer{}.port();
  const std::string chat = fresh_address(carrier::local);
  const std::shared_ptr<herd> victims = std::make_shared<herd>();

  static supervisor_options patient(strategy how) {
    supervisor_options options;
    options.strategy = how;
    options.intensity = 1'000'000;
    options.backoff = {2ms, 50ms, 50, 1s};
    return options;
  }

  std::vector<child_spec> children() {
    auto echoes =
        supervise("echoes", patient(strategy::one_for_one),
                  {echo("tcp", tcp), echo("sharded", sharded, shard::reuse_port), datagrams("udp", udp, victims)});
    auto rooms = supervise("chat", patient(strategy::rest_for_one),
                           {counted(worker<chat::room>("room")), sessions("door", chat, victims)});
    return {echo("steady unix", steady_unix),
            echo("steady tcp", steady_tcp),
            datagrams("calm udp", calm_udp, nullptr),
            counted(worker<chat::room>("room")),
            sessions("club", club, nullptr),
            counted(std::move(echoes)),
            counted(std::move(rooms))};
  }

  std::map<std::string, std::uint64_t> starts() const {
    std::lock_guard guard{mutex_};
    return starts_;
  }

 private:
  child_spec counted(child_spec spec) {
    spec.start = [this, start = std::move(spec.start)](const start_context& my) {
      {
        std::lock_guard guard{mutex_};
        ++starts_[my.path()];
      }
      return start(my);
    };
    return spec;
  }

  child_spec echo(std::string id, const std::string& where, shard how = shard::round_robin) {
    return counted({std::move(id), [this, where, how](const start_context& my) -> started_child {
                      auto options = loops::of(my.system()).settings().listener;
                      options.shard = how;
                      return my.listen(where, options).each<stream_echo>(victims);
                    }});
  }
  child_spec datagrams(std::string id, std::uint16_t port, std::shared_ptr<herd> hunted) {
    return counted({std::move(id), [port, hunted](const start_context& my) -> started_child {
                      return my.bind("udp://127.0.0.1:" + std::to_string(port)).with<datagram_echo>(hunted);
                    }});
  }
  child_spec sessions(std::string id, const std::string& where, std::shared_ptr<herd> hunted) {
    const auto start = [where, hunted](const start_context& my) -> started_child {
      auto options = loops::of(my.system()).settings().listener;
      options.connection.allow_half_open = true;
      return my.listen(where, options)
          .start([hunted, room = my.sibling("room")](loop_host& home, const connection& peer) -> caf::actor {
            auto made = spawn_on<chat::session>(home, peer, room);
            if (hunted) {
              hunted->add(made);
              hunted->add(peer.actor());
            }
            return made;
          });
    };
    return counted({std::move(id), start});
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> starts_;
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

bool echoes(udp_peer& p, std::uint16_t port, const std::string& text) {
  p.send_to(port, text);
  return p.receive().payload == text;
}

template <class F>
bool succeeds(F what) {
  try {
    return what();
  } catch (const std::runtime_error&) {
    return false;
  }
}

/// A member of the club, who says numbers and hears those of another.
class member {
 public:
  member(const std::string& where, std::string name) : peer_(where), name_(std::move(name)) {
    hear_until("* what is your name?");
    say(name_);
    catch_up();
  }

  void count_on() { say(std::string{number} + std::to_string(next_++)); }

  void hear_what_came() {
    while (peer_.unread() > 0)
      (void)hear();
  }

  /// Returns in a room, once all that it has said before was said there, and all that was said there before was heard.
  void catch_up() {
    say("/to " + name_ + " am I in?");
    hear_until(name_ + " (private): am I in?");
  }

  std::uint64_t heard() const { return heard_; }
  std::uint64_t gaps() const { return gaps_; }
  std::uint64_t out_of_order() const { return out_of_order_; }

 private:
  static constexpr std::string_view number = "number ";

  void say(const std::string& line) { peer_.send_all(line + "\n"); }

  void hear_until(const std::string& line) {
    while (hear() != line) {
    }
  }

  std::string hear() {
    auto end = text_.find('\n');
    for (; end == text_.npos; end = text_.find('\n')) {
      const auto more = peer_.read_some(4'096);
      if (more.empty())
        throw std::runtime_error{"the club is closed"};
      text_ += more;
    }
    const auto line = text_.substr(0, end);
    text_.erase(0, end + 1);
    if (const auto found = line.find(number); found != line.npos)
      take(std::stoull(line.substr(found + number.size())));
    return line;
  }

  void take(std::uint64_t heard) {
    out_of_order_ += heard < expected_;
    gaps_ += heard > expected_;
    expected_ = heard + 1;
    ++heard_;
  }

  peer peer_;
  const std::string name_;
  std::string text_;
  std::uint64_t next_ = 1; // that it says
  std::uint64_t expected_ = 1;
  std::uint64_t heard_ = 0;
  std::uint64_t gaps_ = 0;
  std::uint64_t out_of_order_ = 0;
};

/// What the log tells of why a child was started again.
class explanations {
 public:
  explicit explanations(std::vector<std::string> lines) : lines_(std::move(lines)) {}

  std::uint64_t own_ends(const std::string& path) const { return lines_like(path + " ended: "); }
  std::uint64_t ends_of_others(const std::string& path) const { return lines_like(path + " is started again with "); }

 private:
  std::uint64_t lines_like(const std::string& what) const {
    return static_cast<std::uint64_t>(std::count_if(
        lines_.begin(), lines_.end(), [&](const std::string& l) { return l.starts_with("supervisor: " + what); }));
  }

  const std::vector<std::string> lines_;
};

/// Those who must not lose anything, whoever else is killed.
class bystanders {
 public:
  explicit bystanders(const tree& places) : anna_(places.club, "anna"), bert_(places.club, "bert") {
    for (const auto& where : {places.steady_unix, places.steady_tcp})
      begin([this, where] {
        for (peer me(where); !over_; pace(1))
          count(echoes(me, std::string{greeting} + " " + std::to_string(served_) + "\n"));
      });
    begin([this, port = places.calm_udp] {
      for (udp_peer me; !over_; pace(1))
        count(echoes(me, port, std::to_string(served_)));
    });
    for (auto who : {&anna_, &bert_})
      begin([this, who] {
        for (; !over_; pace(2)) {
          who->count_on();
          who->hear_what_came();
        }
      });
  }
  ~bystanders() { end(); }

  void end() {
    over_ = true;
    threads_.clear();
  }

  std::uint64_t complaints() const { return complaints_; }
  std::uint64_t served() const { return served_; }
  member& anna() { return anna_; }
  member& bert() { return bert_; }

 private:
  void count(bool well) { ++(well ? served_ : complaints_); }

  template <class F>
  void begin(F what) {
    threads_.emplace_back([this, what] {
      try {
        what();
      } catch (const std::exception&) {
        ++complaints_;
      }
    });
  }

  member anna_;
  member bert_;
  std::atomic<bool> over_{false};
  std::atomic<std::uint64_t> served_{0};
  std::atomic<std::uint64_t> complaints_{0};
  std::vector<std::jthread> threads_;
};

/// A client of what is killed: served, or not, and never for long.
void visit(const tree& places, std::minstd_rand& random) {
  const peer_options impatient{.deadline = 200ms};
  const auto some_text = [&] { return random() % 50 == 0 ? "die\n" : "hello"; };
  switch (random() % 4) {
  case 0: {
    udp_peer p(impatient);
    p.send_to(places.udp, some_text());
    p.receive();
    break;
  }
  case 1: {
    peer p(places.chat, impatient);
    p.send_all("guest" + std::to_string(random()) + "\n");
    for (int n = 0; n < 5; ++n, pace(2))
      p.send_all("hello\n");
    p.read_some(100);
    break;
  }
  default: {
    const std::string* all[]{&places.tcp, &places.sharded, &places.steady_tcp, &places.steady_unix};
    peer p(*all[random() % std::size(all)], impatient);
    for (int n = 0; n < 5; ++n, pace(2))
      echoes(p, some_text());
  }
  }
}

/// What was killed of what is supervised, by path.
using kills = std::map<std::string, std::set<caf::actor_id>>;

bool is_explained(const std::string& path, const std::map<std::string, std::uint64_t>& starts, const kills& killed,
                  const explanations& log) {
  const auto again = starts.at(path) - 1;
  const auto parent = path.substr(0, path.rfind('/'));
  const auto found = killed.find(path);
  if (parent == "top") // nobody else ended these
    return again == log.own_ends(path) && (found == killed.end() || found->second.size() <= again);
  return again <= log.own_ends(path) + log.ends_of_others(path) + starts.at(parent) - 1;
}

} // namespace

TEST_CASE("a stampede through the tree harms nobody for good", "[apps]") {
  captured_log log;
  tree places;
  actor_world world{2};
  const auto top = start_supervisor(world.system(), "top", tree::patient(strategy::one_for_one), places.children());
  const auto all_children = [&] {
    std::vector<child_info> all;
    const auto found = world.ask<tree_node>(top, get_tree{}).first;
    REQUIRE(found);
    collect(*found, all);
    return all;
  };
  REQUIRE(eventually([&] { return all_children().size() == 12; }));

  bystanders calm(places);
  std::atomic<std::uint64_t> served{0};
  std::vector<std::jthread> visitors;
  for (unsigned seed = 1; seed <= 3; ++seed)
    visitors.emplace_back([&, seed](const std::stop_token& over) {
      for (std::minstd_rand random(seed); !over.stop_requested(); pace(10)) // or they use up the ports
        served += succeeds([&] {
          visit(places, random);
          return true;
        });
    });

  std::minstd_rand random(7);
  kills killed;
  std::size_t killed_in_all = 0;
  std::size_t hunted = 0;
  for (const auto until = std::chrono::steady_clock::now() + how_long; std::chrono::steady_clock::now() < until;) {
    const auto reason = random() % 2 == 0 ? caf::exit_reason::kill : caf::exit_reason::out_of_workers;
    const auto children = all_children();
    const auto& child = children[random() % children.size()];
    if (child.actor && child.id != "calm udp") {
      caf::anon_send_exit(child.actor, reason);
      killed[child.path].insert(child.actor.id());
      ++killed_in_all;
    }
    if (const auto stray = places.victims->take(random)) {
      caf::anon_send_exit(stray, reason);
      ++hunted;
    }
    pace(static_cast<unsigned>(random() % 20));
  }

  // All of it answers, whoever was killed last.
  for (const auto& where : {places.tcp, places.sharded, places.steady_tcp, places.steady_unix})
    CHECK(eventually([&] { return succeeds([&] { return echoes(*std::make_unique<peer>(where), "hello"); }); }));
  for (const auto port : {places.udp, places.calm_udp})
    CHECK(eventually([&] {
      return succeeds(
          [&] { return echoes(*std::make_unique<udp_peer>(peer_options{.deadline = 500ms}), port, "udp"); });
    }));
  for (const auto& where : {places.chat, places.club})
    CHECK(eventually([&] { return succeeds([&] { return peer(where).read_exactly(20) == "* what is your name?"; }); }));
  visitors.clear();
  CHECK(served > 50);
  CHECK(killed_in_all > 100);
  CHECK(hunted > 50);

  calm.end();
  CHECK(calm.complaints() == 0);
  CHECK(calm.served() > 100);

  const auto explained = [&](const std::string& path) {
    return is_explained(path, places.starts(), killed, explanations{log.lines.lines()});
  };
  for (const auto& [path, count] : places.starts()) {
    INFO(path << " was started " << count << " times");
    CHECK(eventually([&, path = path] { return explained(path); }));
  }

  // Members of the club heard each other, in order, and all between two ends of their room.
  const auto ends = explanations{log.lines.lines()}.own_ends("top/room");
  CHECK(ends > 10);
  const auto both = {&calm.anna(), &calm.bert()};
  const auto meet = [&] {
    for (int i = 0; i < 2; ++i)
      for (auto who : both)
        who->catch_up();
  };
  std::uint64_t gaps = 0;
  for (const auto numbers : {1, 100}) {
    meet();
    gaps = calm.anna().gaps() + calm.bert().gaps();
    for (int i = 0; i < numbers; ++i)
      for (auto who : both)
        who->count_on();
  }
  meet();
  CHECK(calm.anna().gaps() + calm.bert().gaps() == gaps);
  CHECK(gaps <= 2 * ends);
  for (auto who : both) {
    CHECK(who->out_of_order() == 0);
    CHECK(who->heard() > 100);
  }
  places.victims->clear();
  caf::anon_send_exit(top.actor(), caf::exit_reason::user_shutdown);
}
