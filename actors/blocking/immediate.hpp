// A coroutine that never pauses: what both dialects share is written as coroutines, and this is how a thread goes
// through one.
#pragma once

#include "actnet/actors/sequential/result.hpp"

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace actnet::blocking::detail {

/// Has run to its end when the call that makes it returns. What it awaits are outcomes, which are there, and others of
/// its kind.
template <class T>
class [[nodiscard]] immediate {
 public:
  class promise_type;

  immediate(immediate&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  immediate& operator=(immediate&&) = delete;
  ~immediate() {
    if (frame_)
      frame_.destroy();
  }

  /// Its value, or what it threw.
  T get() && {
    auto& outcome = frame_.promise();
    if (outcome.thrown_)
      std::rethrow_exception(outcome.thrown_);
    return std::move(*outcome.value_);
  }

 private:
  explicit immediate(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
};

template <class T>
class immediate<T>::promise_type {
  template <class U>
  class there {
   public:
    explicit there(U value) : value_(std::move(value)) {}
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    U await_resume() { return std::move(value_); }

   private:
    U value_;
  };

 public:
  immediate get_return_object() noexcept { return immediate{std::coroutine_handle<promise_type>::from_promise(*this)}; }
  std::suspend_never initial_suspend() const noexcept { return {}; }
  std::suspend_always final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { thrown_ = std::current_exception(); }
  template <class U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }

  template <class U>
  auto await_transform(result<U>&& outcome) {
    return there<result<U>>{std::move(outcome)};
  }
  template <class U>
  auto await_transform(immediate<U>&& ended) {
    return there<U>{std::move(ended).get()};
  }

 private:
  friend class immediate;
  std::optional<T> value_;
  std::exception_ptr thrown_;
};

} // namespace actnet::blocking::detail
