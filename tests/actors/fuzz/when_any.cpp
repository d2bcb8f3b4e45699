// A coroutine that awaits random sets of everything that can be awaited, and calls most of it off: frames, writes,
// datagrams both ways, accepts, connects, messages, answers, time. Whatever came is numbered: none is lost, comes twice
// or before its turn, but for what was called off on its way out, which may be missing.
#include "support/fuzzing.hpp"

#include "actnet/actors/coroutine/coroutine.hpp"

#include <array>
#include <set>

using namespace actnet;
using namespace actnet::test;
using coroutine::task;
using coroutine::when_any;

namespace {

/// Numbers on their way from one end to the other, in their order. Those that are sure have to come.
class numbered {
 public:
  int next() { return ++last_; }
  void sure(int number) { sure_.insert(number); }

  /// Empty: nothing was wrong.
  std::string came(int number) {
    if (number <= came_)
      return std::to_string(number) + " came after " + std::to_string(came_);
    if (const auto missed = sure_.upper_bound(came_); missed != sure_.end() && *missed < number)
      return std::to_string(number) + " came, and " + std::to_string(*missed) + " did not";
    came_ = number;
    return {};
  }

  bool all_came() const { return sure_.empty() || came_ >= *sure_.rbegin(); }
  int last() const { return last_; }
  int last_that_came() const { return came_; }

 private:
  std::set<int> sure_;
  int last_ = 0;
  int came_ = 0;
};

/// A write of one letter again and again, which no other write has.
struct letters {
  std::size_t size;
  std::size_t least; ///< What has to come of them: all, so many as the error says, or none if it was called off.
  std::size_t most;
};

constexpr char letter_of(std::size_t write) {
  return static_cast<char>('!' + write);
}

constexpr int frames_count = 40;
constexpr int messages_count = 40;
constexpr int datagrams_count = 30;
constexpr int connects_count = 12;
constexpr int writes_count = 60;

/// What a coroutine that awaits holds. The test looks at it once it is done.
struct awaiting_all {
  explicit awaiting_all(unsigned seed) : by(seed) {}

  chance by;
  coroutine::stream_socket frames;
  coroutine::stream_socket out;
  coroutine::udp_socket receiver, sender;
  coroutine::tcp_server server;
  caf::actor answers;
  std::vector<coroutine::stream_socket> accepted;
  numbered of_frames, of_messages, of_datagrams, of_connects;
  std::vector<letters> written;
  std::array<bool, 9> awaited{}; ///< By `take_any`, now.
  int questions = 0;
  journal story;
  std::string wrong;
  std::atomic<bool> done{false};

  net::duration soon() { return std::chrono::microseconds{by.below(1'500)}; }
  void check(const std::string& what, std::string mistake) {
    if (wrong.empty() && !mistake.empty())
      wrong = what + ": " + mistake;
  }
  template <class T>
  bool works(const std::string& what, const result<T>& got) {
    story.add(what + (got ? "" : ": " + to_text(got.error())));
    if (!got)
      check(what, to_text(got.error()));
    return bool{got};
  }
  void let_go() {
    accepted.clear();
    frames = {};
    out = {};
    receiver = {};
    sender = {};
    server = {};
  }
  bool has_all() const {
    return of_frames.last_that_came() == frames_count && of_messages.last_that_came() == messages_count &&
           of_datagrams.last() == datagrams_count && of_datagrams.all_came() && of_connects.last() == connects_count;
  }
};

// -- what is awaited: each counts what it got at once, so that whatever was not counted must still come ---------------

task<> take_frame(awaiting_all& a) {
  auto got = co_await a.frames.read_frame();
  if (a.works("read_frame", got))
    a.check("frame", a.of_frames.came(std::stoi(std::string{got->view()})));
}

task<> write_letters(awaiting_all& a) {
  if (a.written.size() == writes_count) {
    co_await coroutine::sleep(a.soon());
    co_return;
  }
  const auto number = a.written.size();
  const std::size_t size = a.by.below(a.by.one_in(3) ? 30'000 : 300) + 1;
  a.written.push_back({size, 0, size});
  time_limit within;
  if (a.by.one_in(3))
    within = a.soon();
  auto got = co_await a.out.write(std::string(size, letter_of(number)), within);
  const auto went = got ? size : bytes_of(got.error());
  a.story.add("write " + std::to_string(went) + " of " + std::to_string(size));
  a.written[number].least = a.written[number].most = went;
  if (!got && code_of(got) != errc::timed_out)
    a.check("write", to_text(got.error()));
}

task<> take_datagram(awaiting_all& a) {
  auto got = co_await a.receiver.receive_from();
  if (a.works("receive_from", got))
    a.check("datagram", a.of_datagrams.came(std::stoi(std::string{got->payload.view()})));
}

task<> send_datagram(awaiting_all& a) {
  if (a.of_datagrams.last() >= datagrams_count - 1) { // the last is nobody's to call off
    co_await coroutine::sleep(a.soon());
    co_return;
  }
  const auto number = a.of_datagrams.next();
  auto got = co_await a.sender.send_to(std::to_string(number), a.receiver.local_endpoint());
  if (a.works("send_to " + std::to_string(number), got))
    a.of_datagrams.sure(number);
}

task<> take_connection(awaiting_all& a) {
  auto got = co_await a.server.accept();
  if (a.works("accept", got))
    a.accepted.push_back(std::move(*got));
}

task<> make_connection(awaiting_all& a) {
  if (a.of_connects.last() == connects_count) {
    co_await coroutine::sleep(a.soon());
    co_return;
  }
  const auto number = a.of_connects.next();
  auto got = co_await coroutine::stream_socket::connect(a.server.local_endpoint());
  if (!a.works("connect " + std::to_string(number), got))
    co_return;
  auto told = co_await got->write(std::to_string(number));
  if (a.works("tell " + std::to_string(number), told))
    a.of_connects.sure(number);
}

task<> take_message(awaiting_all& a) {
  auto got = co_await coroutine::receive<int>();
  a.story.add("receive " + std::to_string(*got));
  a.check("message", a.of_messages.came(*got));
}

task<> take_answer(awaiting_all& a) {
  const auto question = ++a.questions;
  auto got = co_await coroutine::request<int>(a.answers, question);
  if (a.works("request", got) && *got != question)
    a.check("answer", std::to_string(*got) + " to " + std::to_string(question));
}

task<> take_time(awaiting_all& a) {
  co_await coroutine::sleep(a.soon());
}

/// Each at most once at a time, for a stream has one reader and one writer.
task<> take_any(awaiting_all& a) {
  const auto which = a.by.below(9);
  if (std::exchange(a.awaited[which], true))
    return take_time(a);
  switch (which) {
  case 0: return take_frame(a);
  case 1: return write_letters(a);
  case 2: return take_datagram(a);
  case 3: return send_datagram(a);
  case 4: return take_connection(a);
  case 5: return make_connection(a);
  case 6: return take_message(a);
  case 7: return take_answer(a);
  default: return take_time(a);
  }
}

/// Some of them, and a time, so that it ends.
task<> take_first(awaiting_all& a) {
  a.awaited = {};
  switch (a.by.below(5)) {
  case 0: (void)co_await coroutine::within(a.soon(), take_any(a)); break;
  case 1: (void)co_await when_any(take_any(a), take_any(a), coroutine::sleep(a.soon())); break;
  case 2: (void)co_await when_any(coroutine::sleep(a.soon()), take_any(a), take_any(a), take_any(a)); break;
  case 3: (void)co_await when_any(take_time(a), when_any(take_any(a), take_any(a)), take_any(a)); break;
  default: (void)co_await when_any(coroutine::within(a.soon(), take_any(a)), take_any(a), take_time(a)); break;
  }
}

// -- a run ------------------------------------------------------------------------------------------------------------

task<> open_all(awaiting_all& a, int frames, int out, carrier over) {
  auto in = co_await coroutine::stream_socket::adopt(frames);
  a.frames = std::move(*in);
  (void)co_await a.frames.use_codec(net::framing::package(2));
  auto to = co_await coroutine::stream_socket::adopt(out);
  a.out = std::move(*to);
  const auto datagrams = for_datagrams(over);
  auto receiver = co_await coroutine::udp_socket::bind(fresh_address(datagrams));
  a.receiver = std::move(*receiver);
  auto sender = co_await coroutine::udp_socket::bind(fresh_address(datagrams));
  a.sender = std::move(*sender);
  auto server = co_await coroutine::tcp_server::bind(fresh_address(over));
  a.server = std::move(*server);
}

/// Accepts whatever is left, and holds what the accepted bring against the connects.
task<> account_for_connections(awaiting_all& a) {
  auto last = co_await coroutine::stream_socket::connect(a.server.local_endpoint());
  if (!a.works("last connect", last))
    co_return;
  const auto last_number = a.of_connects.next();
  a.of_connects.sure(last_number);
  (void)co_await last->write(std::to_string(last_number));
  (void)co_await last->finish();
  for (std::size_t i = 0; a.of_connects.last_that_came() != last_number && a.wrong.empty(); ++i) {
    if (i == a.accepted.size()) {
      auto got = co_await a.server.accept();
      if (!a.works("late accept", got))
        co_return;
      a.accepted.push_back(std::move(*got));
    }
    auto text = co_await a.accepted[i].read_to_end(100);
    if (text && !text->empty()) // else the connect was called off
      a.check("accepted", a.of_connects.came(std::stoi(std::string{text->view()})));
  }
}

task<> await_everything(std::shared_ptr<awaiting_all> all, int frames, int out, carrier over) {
  auto& a = *all;
  co_await open_all(a, frames, out, over);
  while (!a.has_all() && a.wrong.empty()) {
    co_await take_first(a);
    if (a.of_datagrams.last() == datagrams_count - 1) {
      const auto number = a.of_datagrams.next();
      auto got = co_await a.sender.send_to(std::to_string(number), a.receiver.local_endpoint());
      if (a.works("last send_to", got))
        a.of_datagrams.sure(number);
    }
  }
  if (a.wrong.empty())
    co_await account_for_connections(a);
  (void)co_await a.out.finish();
  a.let_go();
  a.done = true;
}

/// Empty: nothing was wrong.
std::string wrong_with_letters(std::string_view got, const std::vector<letters>& written) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < written.size(); ++i) {
    const auto from = at;
    while (at < got.size() && got[at] == letter_of(i))
      ++at;
    const auto count = at - from;
    if (count < written[i].least || count > written[i].most)
      return "of write " + std::to_string(i) + " came " + std::to_string(count) + " instead of " +
             std::to_string(written[i].least) + " to " + std::to_string(written[i].most);
  }
  return at == got.size() ? std::string{} : "more came than was written, at " + std::to_string(at);
}

class echoing_numbers : public handler {
 public:
  using handler::handler;
  caf::behavior make_behavior() override {
    return {[](int x) { return x; }};
  }
};

/// What was wrong; empty: nothing.
std::string wrong_with_awaiting(fuzz_world& world, const caf::actor& answers, unsigned seed) {
  chance by{seed + 99};
  const auto over = seed % 2 != 0 ? carrier::tcp : carrier::local;
  auto in = world.open_stream(over, 65'536);
  auto out = world.open_stream(over, 4'096 << by.below(4));
  const auto a = std::make_shared<awaiting_all>(seed);
  a->answers = answers;
  const auto who =
      coroutine::spawn_coroutine(world.loop(0), await_everything, a, in.near.release(), out.near.release(), over);
  std::string to_send, got;
  for (int i = 1; i <= frames_count; ++i) {
    auto text = std::to_string(i);
    text.append(by.below(400), ' ');
    to_send += static_cast<char>(text.size() >> 8);
    to_send += static_cast<char>(text.size() & 0xff);
    to_send += text;
  }
  std::size_t sent = 0;
  int messages = 0;
  const auto disturb = [&] {
    if (sent < to_send.size())
      sent += in.far.send(std::string_view{to_send}.substr(sent, by.below(600) + 1));
    if (messages < messages_count && by.one_in(2))
      caf::anon_send(who, ++messages);
    if (by.one_in(2))
      got += out.far.receive(by.below(20'000) + 1);
    world.pass(std::chrono::microseconds{by.below(1'000)});
  };
  const auto came = world.await([&] { return a->done.load(); }, disturb);
  const auto ended = came && world.await([&] { return out.far.ended(); }, [&] { got += out.far.receive(65'536); });
  auto wrong = !came ? "it did not come to its end" : !ended ? "the stream did not" : a->wrong;
  if (wrong.empty())
    wrong = wrong_with_letters(got, a->written);
  world.kill(who);
  world.settle();
  return wrong.empty() ? wrong : wrong + a->story.text();
}

} // namespace

TEST_CASE("whatever is called off, nothing is lost, comes twice or before its turn", "[fuzz]") {
  captured_log quiet;
  fuzz_world world{2};
  const auto answers = spawn_on<echoing_numbers>(world.loop(1));
  for_each_seed(40, [&](unsigned seed) { return wrong_with_awaiting(world, answers, seed); });
  world.kill(answers);
}
