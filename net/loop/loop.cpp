#include "actnet/net/loop/loop.hpp"

#include "actnet/net/log.hpp"
#include "actnet/net/loop/epoll_backend.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <utility>

namespace actnet::net {

namespace {

/// Room for so many posts is kept from one batch to the next: 768 KiB in all, as there are two lists.
constexpr std::size_t kept_posts_max = 16'384;

/// A loop whose timers are so late was held up, and so may have been those it waits for. They get as long again.
constexpr std::chrono::seconds held_up{1};

} // namespace

/// The bell of one loop. A payload may be dropped after its loop is gone, so gates are never freed but used again.
class loop::gate final : public credit_bell {
 public:
  static gate* acquire(loop& owner) {
    auto& s = store();
    std::lock_guard guard{s.mutex};
    gate* found;
    if (s.unused.empty()) {
      found = new gate;
      s.all.push_back(found);
    } else {
      found = s.unused.back();
      s.unused.pop_back();
    }
    std::lock_guard own{found->mutex_};
    found->owner_ = &owner;
    return found;
  }

  void forget_owner() {
    std::lock_guard own{mutex_};
    owner_ = nullptr;
  }

  void give_back() {
    forget_owner();
    auto& s = store();
    std::lock_guard guard{s.mutex};
    s.unused.push_back(this);
  }

  void ring() noexcept override {
    std::lock_guard own{mutex_};
    if (owner_)
      owner_->ring();
  }

 private:
  struct kept_for_ever {
    std::mutex mutex;
    std::vector<gate*> unused;
    std::vector<gate*> all; // reachable for leak checkers
  };
  static kept_for_ever& store() {
    static auto& instance = *new kept_for_ever;
    return instance;
  }

  std::mutex mutex_;
  loop* owner_ = nullptr;
};

result<std::unique_ptr<loop>> loop::make(loop_options options) {
  auto io = options.make_backend ? options.make_backend() : make_epoll_backend();
  if (!io)
    return failure{io.error()};
  return std::unique_ptr<loop>{new loop(std::move(options), std::move(*io))};
}

loop::loop(loop_options options, std::unique_ptr<backend> io)
    : clock_(options.time ? *options.time : monotonic_clock::instance()),
      backend_(std::move(io)),
      now_(clock_.now()),
      awake_at_(now_) {
  set_turn_alarm(options.turn_alarm);
  gate_ = gate::acquire(*this); // last: an old payload may ring a bell that was used before at any time
  if (auto manual = dynamic_cast<manual_clock*>(&clock_))
    clock_subscription_ = manual->subscribe([this] { backend_->wake(); });
}

loop::~loop() {
  close_inbox();
  gate_->give_back();
}

void loop::adopt_thread() noexcept {
  sigset_t broken_pipe; // sendfile(2) has no MSG_NOSIGNAL
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  block_pool::set_current(&pool_);
}

bool loop::in_loop_thread() const noexcept {
  return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

void loop::run() {
  adopt_thread();
  turn_began_ = clock_.coarse_now();
  while (!stopping_.load(std::memory_order_relaxed))
    (void)round(true);
  block_pool::set_current(nullptr);
}

bool loop::run_once(bool may_wait) {
  if (!in_loop_thread())
    adopt_thread();
  turn_began_ = clock_.coarse_now();
  const auto did_something = round(may_wait);
  return did_something || next_deadline() <= awake_at_;
}

/// `turn_began_` is its beginning, and afterwards its end.
bool loop::round(bool may_wait) {
  served_ = false;
  if (first_deferred_) // outside of any turn, such as before the loop ran
    after_turn();
  const auto more_posts = run_posted(posts_per_round);
  if (credit_returned_.load(std::memory_order_relaxed))
    serve_credit();
  auto more = resident_ && resident_->run_ready();
  timers_.fire_due(awake_at_, [this] { after_turn(); });
  judge();
  more = more || (resident_ && resident_->run_ready());
  more = more || more_posts;

  std::optional<duration> wait = duration::zero();
  if (may_wait && !more && !first_deferred_) {
    sleeping_.store(true, std::memory_order_seq_cst);
    bool posted_meanwhile;
    {
      std::lock_guard guard{inbox_mutex_};
      posted_meanwhile = !inbox_.empty();
    }
    if (!posted_meanwhile && !credit_returned_.load(std::memory_order_seq_cst) &&
        !stopping_.load(std::memory_order_seq_cst)) {
      if (const auto next = next_deadline(); next == time_point::max())
        wait.reset();
      else if (!clock_.manual())
        wait = next - std::min(next, clock_.now());
      else if (next > clock_.now()) // only a step of the clock can make it due, and a step wakes the backend
        wait.reset();
    }
  }
  const auto served_before = served_;
  if (std::exchange(served_, false))
    after_part(); // what the last turn deferred
  backend_->poll(wait, *this);
  if (served_)
    after_part();
  else
    turn_began_ = clock_.coarse_now();
  return more || served_before || served_;
}

/// What the round needs to know may have come at any time before it begins: also between the poll before and now.
void loop::judge() noexcept {
  if (hearing_ && backend_->round_is_over()) {
    hearing_ = false;
    judging_timers_.finish_round([this] { after_turn(); });
  }
  if (hearing_ || std::max(judging_timers_.next_deadline(), judging_after_) > awake_at_)
    return;
  hearing_ = true;
  judging_timers_.begin_round(awake_at_);
  backend_->begin_round();
}

time_point loop::next_deadline() const noexcept {
  const auto judging = judging_timers_.next_deadline();
  return std::min(timers_.next_deadline(), hearing_ ? judging : std::max(judging, judging_after_));
}

void loop::on_awake(bool waited) noexcept {
  sleeping_.store(false, std::memory_order_relaxed);
  if (waited)
    wake_ups_.fetch_add(1, std::memory_order_relaxed);
  now_ = clock_.now();
  const auto before = std::exchange(awake_at_, now_);
  turn_began_ = clock_.coarse_now();
  if (now_ - before <= held_up) [[likely]]
    return;
  // It slept, or it was held up; then a judging timer is late that was not armed for the past. Each is put off once.
  const auto next = judging_timers_.next_deadline();
  if (now_ - std::max(next, before) > held_up && judging_after_ < next && !clock_.manual())
    judging_after_ = later(now_, held_up);
}

void loop::defer(deferred& work) noexcept {
  if (work.queued_)
    return;
  work.queued_ = true;
  work.next_ = nullptr;
  if (last_deferred_)
    last_deferred_->next_ = &work;
  else
    first_deferred_ = &work;
  last_deferred_ = &work;
}

void loop::after_turn() noexcept {
  served_ = true;
  after_part();
  ++turn_;
  resident_ran_ = false;
  while (auto work = first_deferred_) {
    first_deferred_ = work->next_;
    if (!first_deferred_)
      last_deferred_ = nullptr;
    work->queued_ = false; // first: it may defer itself again, and may be gone afterwards
    work->serve();
  }
  if (resident_ran_)
    after_part();
}

/// Raises the alarm if too much time has passed since the last such part ended.
void loop::after_part() noexcept {
  const auto ended = clock_.coarse_now();
  if (ended - turn_began_ > long_part_) [[unlikely]]
    after_long_part(ended - turn_began_);
  turn_began_ = ended;
}

void loop::after_long_part(duration took) noexcept {
  now_ = clock_.now();
  if (took > turn_alarm_ && turn_alarm_ > duration::zero())
    raise_turn_alarm(took);
}

void loop::raise_turn_alarm(duration took) const noexcept {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  log_limited(log_level::warning, "turn-alarm",
              "a turn of " + std::to_string(milliseconds) +
                  " ms held up the loop: " + (resident_ ? resident_->last_turn() : std::string{"no resident"}));
}

/// Returns whether there is more of what had been posted by now.
bool loop::run_posted(std::size_t at_most) noexcept {
  run_batch(at_most); // what the last round has left, or this one, when posted work closes the inbox
  if (!running_.empty())
    return true;
  {
    std::lock_guard guard{inbox_mutex_};
    if (inbox_.empty())
      return false;
    running_.swap(inbox_);
  }
  run_batch(at_most);
  return !running_.empty();
}

void loop::run_batch(std::size_t at_most) noexcept {
  for (; next_running_ < running_.size() && at_most > 0; --at_most) {
    const auto work = running_[next_running_++];
    work.run(work.object, work.argument);
    after_turn();
  }
  if (next_running_ < running_.size())
    return;
  running_.clear();
  next_running_ = 0;
  if (running_.capacity() > kept_posts_max) // a flood came; the next batch will hardly be as large
    running_ = std::vector<posted>{};
}

bool loop::post(void (*work)(void*, void*) noexcept, void* object, void* argument) noexcept {
  {
    std::lock_guard guard{inbox_mutex_};
    if (inbox_closed_)
      return false;
    inbox_.push_back({work, object, argument});
  }
  if (sleeping_.load(std::memory_order_seq_cst)) {
    std::lock_guard guard{inbox_mutex_}; // the loop may wake by itself meanwhile, and end
    if (backend_)
      backend_->wake();
  }
  return true;
}

void loop::let_go_of_backend() noexcept {
  gate_->forget_owner();
  std::lock_guard guard{inbox_mutex_};
  backend_ = nullptr;
}

void loop::stop() noexcept {
  stopping_.store(true, std::memory_order_seq_cst);
  backend_->wake();
}

void loop::close_inbox() noexcept {
  {
    std::lock_guard guard{inbox_mutex_};
    if (inbox_closed_)
      return;
    inbox_closed_ = true;
  }
  if (auto manual = dynamic_cast<manual_clock*>(&clock_)) // whoever holds the loop from now on may outlive the clock
    manual->unsubscribe(clock_subscription_);
  if (next_running_ == 0) // else within a turn
    turn_began_ = clock_.coarse_now();
  run_posted(static_cast<std::size_t>(-1));
}

credit_bell& loop::bell() noexcept {
  return *gate_;
}

void loop::ring() noexcept {
  if (!credit_returned_.exchange(true, std::memory_order_seq_cst) && sleeping_.load(std::memory_order_seq_cst))
    backend_->wake();
}

void loop::await_credit(deferred& who) {
  awaiting_credit_.push_back(&who);
}

void loop::stop_awaiting_credit(deferred& who) noexcept {
  std::erase(awaiting_credit_, &who);
}

void loop::serve_credit() noexcept {
  credit_returned_.store(false, std::memory_order_seq_cst);
  for (auto who : awaiting_credit_)
    defer(*who);
  after_turn();
}

} // namespace actnet::net
