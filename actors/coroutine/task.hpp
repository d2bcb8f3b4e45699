// Coroutines that actors run: `task<T>`, and what there is to await in one.
#pragma once

#include <cassert>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace actnet::coroutine {

class coroutine_actor;

template <class T = void>
class task;

/// What all coroutines of an actor have.
class promise_base {
 public:
  std::suspend_always initial_suspend() const noexcept { return {}; }

  struct final_awaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      const auto next = ended.promise().awaited_by_;
      return next ? next : std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  final_awaiter final_suspend() const noexcept { return {}; }

  void unhandled_exception() noexcept { thrown_ = std::current_exception(); }

  /// The actor that runs it.
  coroutine_actor* actor() const noexcept { return actor_; }
  void run_by(coroutine_actor& who, std::coroutine_handle<> awaited_by = nullptr) noexcept {
    actor_ = &who;
    awaited_by_ = awaited_by;
  }

 protected:
  void rethrow() const {
    if (thrown_)
      std::rethrow_exception(thrown_);
  }

 private:
  coroutine_actor* actor_ = nullptr;
  std::coroutine_handle<> awaited_by_;
  std::exception_ptr thrown_;
};

template <class T>
class promise final : public promise_base {
 public:
  task<T> get_return_object() noexcept;
  template <class U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() {
    rethrow();
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class promise<void> final : public promise_base {
 public:
  task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const { rethrow(); }
};

/// A coroutine that begins when it is awaited (or given to an actor), and goes with this object: then whatever it waits
/// for is called off. What it throws comes out of the `co_await`. Give it values, or references that outlive it; a
/// lambda with captures has to outlive it too (`spawn` and `serve` see to that).
template <class T>
class [[nodiscard]] task {
 public:
  using promise_type = promise<T>;

  task() = default;
  task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~task() {
    if (frame_)
      frame_.destroy();
  }

  explicit operator bool() const noexcept { return static_cast<bool>(frame_); }

  auto operator co_await() && noexcept {
    assert(frame_);
    return awaiter{frame_};
  }

  // For the actor that runs it.
  std::coroutine_handle<promise_type> frame() const noexcept { return frame_; }

 private:
  friend promise_type;
  explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  class awaiter {
   public:
    explicit awaiter(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> by) noexcept {
      frame_.promise().run_by(*by.promise().actor(), by);
      return frame_;
    }
    T await_resume() { return frame_.promise().take(); }

   private:
    std::coroutine_handle<promise_type> frame_;
  };

  std::coroutine_handle<promise_type> frame_;
};

template <class T>
task<T> promise<T>::get_return_object() noexcept {
  return task<T>{std::coroutine_handle<promise>::from_promise(*this)};
}

inline task<void> promise<void>::get_return_object() noexcept {
  return task<void>{std::coroutine_handle<promise>::from_promise(*this)};
}

} // namespace actnet::coroutine
