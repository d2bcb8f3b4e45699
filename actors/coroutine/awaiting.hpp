// What a coroutine can await besides its sockets: time, messages, answers, and the first of several things.
#pragma once

#include "actnet/actors/coroutine/coroutine_actor.hpp"
#include "actnet/actors/errors.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/sequential/operation.hpp"

#include <caf/message.hpp>

#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace actnet::coroutine {

/// Resumes one coroutine, which may be destroyed instead. The base of what waits in its frame.
class resumption {
 public:
  resumption() = default;
  resumption(const resumption&) = delete;
  resumption& operator=(const resumption&) = delete;

 protected:
  ~resumption() {
    if (who_)
      actor_->forget(who_);
  }

  template <class Promise>
  void suspend(std::coroutine_handle<Promise> who) noexcept {
    actor_ = who.promise().actor();
    who_ = who;
  }
  void resume_soon() { actor_->resume_soon(who_); }
  /// It goes on.
  void resumed() noexcept { who_ = nullptr; }

  coroutine_actor& actor() const noexcept { return *actor_; }

 private:
  coroutine_actor* actor_ = nullptr;
  std::coroutine_handle<> who_;
};

// -- operations of sockets ---------------------------------------------------------------------------

template <class Operation, class Convert>
class operation_awaiter final : public resumption, private sequential::waiter {
  using outcome = result<typename Operation::value_type>;

 public:
  template <class... Args>
  explicit operation_awaiter(Args&&... args) : what_(std::forward<Args>(args)...) {}
  ~operation_awaiter() {
    if (state_ == state::begun)
      what_.call_off();
    else if (state_ == state::finished)
      what_.undo();
  }

  bool await_ready() const noexcept { return false; }

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> who) {
    suspend(who);
    if (what_.is_of_nothing()) {
      what_.refuse(errc::closed);
      return false;
    }
    if (&what_.home() != &actor().home()) {
      what_.refuse(errc::wrong_loop);
      return false;
    }
    state_ = state::beginning;
    what_.begin_for(*this);
    if (state_ == state::beginning) {
      state_ = state::begun;
      return true;
    }
    if (actor().may_go_on())
      return false;
    resume_soon();
    return true;
  }

  auto await_resume() {
    resumed();
    state_ = state::idle;
    if constexpr (std::is_void_v<typename Operation::value_type>) {
      return what_.take();
    } else {
      using value = std::invoke_result_t<Convert, typename Operation::value_type>;
      auto got = what_.take();
      return got ? result<value>{Convert{}(std::move(*got))} : result<value>{failed(got.error())};
    }
  }

 private:
  enum class state : unsigned char { idle, beginning, begun, finished };

  void finished() noexcept override {
    if (std::exchange(state_, state::finished) == state::begun)
      resume_soon();
  }

  Operation what_;
  state state_ = state::idle;
};

/// An operation that begins when it is awaited.
template <class Operation, class Convert, class... Args>
class [[nodiscard]] pending {
 public:
  explicit pending(Args... args) : args_(std::move(args)...) {}

  auto operator co_await() && {
    return std::apply([](Args&... args) { return operation_awaiter<Operation, Convert>{std::move(args)...}; }, args_);
  }

 private:
  std::tuple<Args...> args_;
};

// -- time --------------------------------------------------------------------------------------------

class [[nodiscard]] sleeping {
 public:
  explicit sleeping(net::timeout time) noexcept : time_(time) {}
  explicit sleeping(net::time_point until) noexcept : until_(until) {}

  /// It ends what others wait for: when its time has come, only once the kernel has told all that it has for them.
  sleeping judging() && noexcept {
    judges_ = true;
    return *this;
  }

  class awaiter final : public resumption, private net::timer {
   public:
    awaiter(net::timeout time, std::optional<net::time_point> until, bool judges) noexcept
        : time_(time), until_(until), judges_(judges) {}
    ~awaiter() override {
      if (timers_)
        timers_->cancel(*this);
    }
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> who) {
      suspend(who);
      auto& loop = actor().home().loop();
      timers_ = judges_ ? &loop.judging_timers() : &loop.timers();
      timers_->arm(*this, until_ ? *until_ : loop.deadline_in(time_));
    }
    void await_resume() noexcept { resumed(); }

   private:
    void on_timer(net::time_point) noexcept override { resume_soon(); }

    net::timeout time_;
    std::optional<net::time_point> until_;
    bool judges_;
    net::timer_queue* timers_ = nullptr;
  };

  awaiter operator co_await() && noexcept { return awaiter{time_, until_, judges_}; }

 private:
  net::timeout time_;
  std::optional<net::time_point> until_;
  bool judges_ = false;
};

/// `co_await sleep(1s)`: other coroutines and actors run meanwhile.
inline sleeping sleep(net::timeout time) {
  return sleeping{time};
}
inline sleeping sleep_until(net::time_point when) {
  return sleeping{when};
}

// -- messages ----------------------------------------------------------------------------------------

/// A message that was awaited. Of a request the answer is due: `reply`; if it is dropped without one, whoever asked
/// gets an error.
template <class... Ts>
class received_message {
 public:
  explicit received_message(incoming from) : from_(std::move(from)) {}

  template <std::size_t I = 0>
  const auto& get() const {
    return from_.content.template get_as<std::tuple_element_t<I, std::tuple<Ts...>>>(I);
  }
  const auto& operator*() const { return get<0>(); }
  auto operator->() const { return &get<0>(); }

  const caf::strong_actor_ptr& sender() const noexcept { return from_.sender; }
  bool is_request() const noexcept { return from_.due.pending(); }
  template <class... Values>
  void reply(Values&&... values) {
    from_.due.deliver(caf::make_message(std::forward<Values>(values)...));
  }

 private:
  incoming from_;
};

template <class... Ts>
class [[nodiscard]] receiving {
 public:
  class awaiter final : public resumption, private receiver {
   public:
    ~awaiter() {
      if (waits_)
        actor().stop_receiving(*this);
      else if (got_)
        actor().put_back(std::move(*got_));
    }
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> who) {
      suspend(who);
      waits_ = true;
      began_ = true;
      actor().receive(*this);
      began_ = false;
      if (waits_)
        return true;
      if (actor().may_go_on())
        return false;
      resume_soon();
      return true;
    }
    received_message<Ts...> await_resume() {
      resumed();
      auto got = std::move(*got_);
      got_.reset();
      return received_message<Ts...>{std::move(got)};
    }

   private:
    bool wants(const caf::message& content) const noexcept override { return content.match_elements<Ts...>(); }
    void take(incoming message) override {
      waits_ = false;
      got_.emplace(std::move(message));
      if (!began_)
        resume_soon();
    }

    std::optional<incoming> got_;
    bool waits_ = false;
    bool began_ = false;
  };

  awaiter operator co_await() && noexcept { return {}; }
};

/// `co_await receive<ping>()`: the next message of exactly these types to the actor that runs the coroutine; others
/// wait for whoever awaits them. `receive<caf::down_msg>()` tells the end of what the actor monitors.
template <class... Ts>
receiving<Ts...> receive() {
  return {};
}

/// The answer to a request.
template <class T>
class [[nodiscard]] requesting {
 public:
  requesting(caf::actor whom, caf::message what) : whom_(std::move(whom)), what_(std::move(what)) {}

  class awaiter final : public resumption, private asker {
   public:
    awaiter(caf::actor whom, caf::message what) : whom_(std::move(whom)), what_(std::move(what)) {}
    ~awaiter() {
      if (waits_)
        actor().stop_asking(*this);
    }
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> who) {
      suspend(who);
      waits_ = true;
      actor().ask(whom_, std::move(what_), *this);
    }
    result<T> await_resume() {
      resumed();
      if (answer_.template match_elements<caf::error>())
        return failed(answer_.template get_as<caf::error>(0));
      if constexpr (std::is_void_v<T>) {
        return {};
      } else {
        if (!answer_.template match_elements<T>())
          return failed(errc::unexpected_message);
        return answer_.template get_as<T>(0);
      }
    }

   private:
    void answered(caf::message answer) override {
      waits_ = false;
      answer_ = std::move(answer);
      resume_soon();
    }

    caf::actor whom_;
    caf::message what_;
    caf::message answer_;
    bool waits_ = false;
  };

  awaiter operator co_await() && { return awaiter{std::move(whom_), std::move(what_)}; }

 private:
  caf::actor whom_;
  caf::message what_;
};

/// `co_await request<std::string>(actor, question{})`: the answer, or the error that came in its place; an answer of
/// another type is `unexpected_message`, but for `void`, which takes any. Nobody's answer is `invalid_argument`.
template <class T, class... Ts>
requesting<T> request(const caf::actor& whom, Ts&&... what) {
  static_assert(
      ((std::is_lvalue_reference_v<Ts> || !std::is_aggregate_v<Ts> || std::is_trivially_destructible_v<Ts>)&&...),
      "give the question a name: g++ 12 destroys temporary aggregates of an awaited call twice");
  return {whom, caf::make_message(std::forward<Ts>(what)...)};
}

// -- the first of several ----------------------------------------------------------------------------

namespace detail {

template <class A>
decltype(auto) awaiter_of(A&& what) {
  return std::forward<A>(what).operator co_await();
}
template <class A>
using awaited = decltype(awaiter_of(std::declval<A>()).await_resume());
template <class A>
using kept = std::conditional_t<std::is_void_v<awaited<A>>, std::monostate, awaited<A>>;

} // namespace detail

/// See `when_any`.
template <class... As>
class [[nodiscard]] first_of {
 public:
  using outcome = std::variant<detail::kept<As>...>;

  explicit first_of(As... all) : all_(std::move(all)...) {}

  class awaiter final : public resumption {
   public:
    explicit awaiter(std::tuple<As...>&& all) noexcept : all_(std::move(all)) {}
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> who) {
      suspend(who);
      begin(std::index_sequence_for<As...>{});
      if (over())
        return false;
      // The first that ends goes on here at once: what it brings is never on its way with nobody to put it back.
      for (auto& branch : branches_)
        branch.frame().promise().run_by(actor(), who);
      return true;
    }
    outcome await_resume() {
      resumed();
      if (thrown_)
        std::rethrow_exception(thrown_);
      return std::move(*first_);
    }

   private:
    bool over() const noexcept { return first_ || thrown_; }

    template <std::size_t... Is>
    void begin(std::index_sequence<Is...>) {
      (begin_one<Is>(), ...);
    }
    template <std::size_t I>
    void begin_one() {
      if (over())
        return;
      auto& branch = branches_[I];
      branch = run<I>(std::move(std::get<I>(all_)));
      branch.frame().promise().run_by(actor());
      branch.frame().resume();
    }
    template <std::size_t I>
    task<> run(std::tuple_element_t<I, std::tuple<As...>> what) {
      using A = std::tuple_element_t<I, std::tuple<As...>>;
      try {
        if constexpr (std::is_void_v<detail::awaited<A>>) {
          if constexpr (std::is_same_v<A, sleeping>)
            co_await std::move(what).judging();
          else
            co_await std::move(what);
          first_.emplace(std::in_place_index<I>);
        } else {
          auto got = co_await std::move(what);
          first_.emplace(std::in_place_index<I>, std::move(got));
        }
      } catch (...) {
        thrown_ = std::current_exception();
      }
      call_off_others(I);
    }
    /// Before any of them goes on: what it has by then stays for the next that asks. The last one first, so that what
    /// they put back lies as it came.
    void call_off_others(std::size_t winner) {
      for (auto i = sizeof...(As); i-- > 0;)
        if (i != winner)
          branches_[i] = {};
    }

    std::tuple<As...> all_;
    task<> branches_[sizeof...(As)];
    std::optional<outcome> first_;
    std::exception_ptr thrown_;
  };

  awaiter operator co_await() && noexcept { return awaiter{std::move(all_)}; }

 private:
  std::tuple<As...> all_;
};

/// `co_await when_any(peer.read_line(), sleep(1s))`: begins all and waits for the first that is done; its place tells
/// the variant's index (`std::monostate` for what has no value). The others are called off, and lose nothing: bytes and
/// messages that they had by then are there for the next that asks. An exception of the first comes out here. A `sleep`
/// among them is a deadline: however long the loop was held up, what has come by then is in time.
template <class... As>
first_of<As...> when_any(As... all) {
  return first_of<As...>{std::move(all)...};
}

/// `co_await within(1s, peer.read_line())`: nothing if that took longer.
template <class A>
task<std::optional<detail::kept<A>>> within(net::timeout time, A what) {
  auto first = co_await when_any(std::move(what), sleep(time));
  if (first.index() == 1)
    co_return std::nullopt;
  co_return std::get<0>(std::move(first));
}

} // namespace actnet::coroutine
