// A value or the reason why there is none: what std::expected is in C++23.
#pragma once

#include <cassert>
#include <system_error>
#include <utility>
#include <variant>

namespace actnet::net {

/// Wraps an error so that it cannot be mistaken for a value: `return failure{errc::closed};`.
template <class E>
struct failure {
  E error;
  explicit failure(E e) : error(std::move(e)) {}
};

template <class E>
failure(E) -> failure<E>;

/// Either a `T` or an `E`. Asking for the part that is not there is a mistake of the caller (asserted).
template <class T, class E = std::error_code>
class [[nodiscard]] result {
 public:
  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  template <class F>
  result(failure<F> f) : state_(std::in_place_index<1>, std::move(f.error)) {}

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T& value() & { return assert(has_value()), *std::get_if<0>(&state_); }
  const T& value() const& { return assert(has_value()), *std::get_if<0>(&state_); }
  T&& value() && { return assert(has_value()), std::move(*std::get_if<0>(&state_)); }
  const E& error() const { return assert(!has_value()), *std::get_if<1>(&state_); }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, E> state_;
};

/// Success without a value, or an `E`.
template <class E>
class [[nodiscard]] result<void, E> {
 public:
  result() = default;
  template <class F>
  result(failure<F> f) : error_(std::move(f.error)), ok_(false) {}

  bool has_value() const noexcept { return ok_; }
  explicit operator bool() const noexcept { return ok_; }
  const E& error() const { return assert(!ok_), error_; }

 private:
  E error_{};
  bool ok_ = true;
};

} // namespace actnet::net
