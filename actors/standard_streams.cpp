#include "actnet/actors/standard_streams.hpp"

#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/loops.hpp"
#include "actnet/net/bytes/block_pool.hpp"
#include "actnet/net/socket/system_calls.hpp"

#include <caf/actor_cast.hpp>
#include <caf/system_messages.hpp>

#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <climits>

namespace actnet {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// The phrase of errno(3), in small letters: a stream is no connection, so `errc` would say too little.
std::string describe(int number) {
  auto text = std::generic_category().message(number);
  if (!text.empty())
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

/// Waits until a blocking descriptor is ready, or until somebody rings.
class interruptible_wait {
 public:
  interruptible_wait(int descriptor, std::uint32_t events)
      : poller_(net::sys().epoll_create1(EPOLL_CLOEXEC)), bell_(net::sys().eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    epoll_event rung{EPOLLIN, {.fd = bell_}};
    epoll_event ready{events, {.fd = descriptor}};
    pollable_ = net::sys().epoll_ctl(poller_, EPOLL_CTL_ADD, bell_, &rung) == 0 &&
                net::sys().epoll_ctl(poller_, EPOLL_CTL_ADD, descriptor, &ready) == 0;
  }
  ~interruptible_wait() {
    for (const auto fd : {poller_, bell_})
      if (fd >= 0)
        net::sys().close(fd);
  }
  interruptible_wait(const interruptible_wait&) = delete;
  interruptible_wait& operator=(const interruptible_wait&) = delete;

  /// Whether the descriptor can be waited for. A regular file cannot (EPERM, epoll_ctl(2)): it is always ready.
  bool pollable() const noexcept { return pollable_; }

  /// Any thread. A ring that nobody waits for meets the next wait.
  void ring() noexcept {
    const std::uint64_t one = 1;
    (void)net::sys().write(bell_, &one, sizeof one); // a full counter rings as well
  }

  enum class outcome { ready, rung, over };

  /// A negative timeout: none.
  outcome wait(int timeout_ms) noexcept {
    if (!pollable_)
      return outcome::ready;
    epoll_event events[2];
    const auto count = net::sys().epoll_wait(poller_, events, 2, timeout_ms);
    auto found = count == 0 ? outcome::over : outcome::rung; // EINTR is a ring
    for (int i = 0; i < count; ++i) {
      std::uint64_t rings;
      if (events[i].data.fd == bell_)
        (void)net::sys().read(bell_, &rings, sizeof rings);
      else
        found = outcome::ready;
    }
    return found;
  }

 private:
  int poller_;
  int bell_;
  bool pollable_ = false;
};

// -- output ------------------------------------------------------------------------------------------

class standard_output final : public handler {
 public:
  standard_output(caf::actor_config& cfg, int descriptor)
      : handler(cfg), descriptor_(descriptor), wait_(descriptor, EPOLLOUT) {}

  const char* name() const override { return "actnet.output"; }

  caf::behavior make_behavior() override {
    return {
        [this](const stream::write& order) {
          const auto count = write(order.payload.view());
          if (failure_ != 0 || order.token != 0 || current_message_id().is_request())
            answer(order.token, count);
        },
        [this](const stream::flush& order) { answer(order.token, 0); },
        [this](const drain&) { quit(); }, // all before it is written
    };
  }

  using handler::enqueue;

  /// A write that waits for a slow reader keeps messages waiting, but must hear of these.
  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit* unit) override {
    const auto& content = message->content();
    if (content.match_elements<drain>())
      hurry(content.get_as<drain>(0).deadline);
    else if (content.match_elements<caf::exit_msg>())
      hurry(milliseconds{0});
    handler::enqueue(std::move(message), unit);
  }

 private:
  static constexpr steady_clock::rep never = steady_clock::time_point::max().time_since_epoch().count();

  void hurry(milliseconds patience) {
    if (patience > std::chrono::hours{24})
      return;
    give_up_at_.store((steady_clock::now() + patience).time_since_epoch().count());
    wait_.ring();
  }

  int patience_ms() const {
    const auto at = give_up_at_.load();
    if (at == never)
      return -1;
    const auto left = steady_clock::time_point{steady_clock::duration{at}} - steady_clock::now();
    return static_cast<int>(std::max(milliseconds{0}, std::chrono::ceil<milliseconds>(left)).count());
  }

  /// Returns how much was written; `failure_` tells why it is not all.
  std::size_t write(std::string_view text) {
    std::size_t written = 0;
    while (failure_ == 0 && written < text.size()) {
      const auto ready = wait_.wait(patience_ms());
      if (ready == interruptible_wait::outcome::over)
        failure_ = ECANCELED; // the program drains, and nobody reads
      if (ready != interruptible_wait::outcome::ready)
        continue;
      // A pipe that is ready takes so much without blocking (pipe(7)).
      const auto size =
          wait_.pollable() ? std::min<std::size_t>(text.size() - written, PIPE_BUF) : text.size() - written;
      const auto count = net::sys().write(descriptor_, text.data() + written, size);
      if (count >= 0)
        written += static_cast<std::size_t>(count);
      else if (errno != EINTR && errno != EAGAIN)
        fail(errno);
    }
    return written;
  }

  void fail(int number) {
    failure_ = number;
    fail_program("cannot write to standard output: " + describe(number), milliseconds{0});
  }

  void answer(std::uint64_t token, std::size_t count) {
    stream::written outcome{token, count, failure_ == 0 ? caf::error{} : make_error(net::from_errno(failure_))};
    if (!current_message_id().is_request())
      send(caf::actor_cast<caf::actor>(current_sender()), std::move(outcome));
    else if (outcome.cause)
      make_response_promise().deliver(std::move(outcome.cause));
    else
      make_response_promise().deliver(std::move(outcome));
  }

  const int descriptor_;
  interruptible_wait wait_;
  int failure_ = 0; // an errno
  std::atomic<steady_clock::rep> give_up_at_{never};
};

// -- input -------------------------------------------------------------------------------------------

class standard_input final : public handler {
 public:
  standard_input(caf::actor_config& cfg, caf::actor owner, int descriptor)
      : handler(cfg), descriptor_(descriptor), owner_(std::move(owner)), wait_(descriptor, EPOLLIN) {
    set_down_handler([this](caf::scheduled_actor*, caf::down_msg&) { quit(); });
  }

  const char* name() const override { return "actnet.input"; }

  caf::behavior make_behavior() override {
    monitor(owner_);
    return {
        [this](read_input) { read(); },
        [this](finish_input) { timeout_ms_ = 0; },
    };
  }

  void on_exit() override { owner_ = nullptr; }

  using handler::enqueue;

  /// While it waits for input it hears of messages all the same.
  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit* unit) override {
    handler::enqueue(std::move(message), unit);
    if (!home()->is_current())
      wait_.ring();
  }

 private:
  void read() {
    switch (wait_.wait(timeout_ms_)) {
    case interruptible_wait::outcome::over: end({}); return;
    case interruptible_wait::outcome::rung: send(this, read_input{}); return; // first whatever has come
    case interruptible_wait::outcome::ready: break;
    }
    const auto block = net::block::make(net::block_pool::read_bytes);
    bytes payload{block, net::block_pool::read_bytes};
    const auto count = net::sys().read(descriptor_, block->data(), payload.size());
    if (count > 0)
      send(owner_, input_read{payload.slice(0, static_cast<std::size_t>(count))});
    else if (count == 0)
      end({});
    else if (errno == EINTR || errno == EAGAIN)
      send(this, read_input{});
    else
      end("cannot read standard input: " + describe(errno));
  }

  void end(std::string complaint) {
    send(owner_, input_ended{std::move(complaint)});
    quit();
  }

  const int descriptor_;
  caf::actor owner_;
  interruptible_wait wait_;
  int timeout_ms_ = -1;
};

} // namespace

caf::actor open_standard_output(main_actor& program, int descriptor) {
  auto made = spawn_at<standard_output>(placement::own_loop, *program.home(), descriptor);
  program.keep_to_the_end(made);
  return made;
}

caf::actor open_standard_input(caf::actor owner, int descriptor) {
  auto& any_loop = loops::of(owner.home_system()).at(0);
  return spawn_at<standard_input>(placement::own_loop, any_loop, std::move(owner), descriptor);
}

} // namespace actnet
