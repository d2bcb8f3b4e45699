// What both sequential dialects wait for: one operation at a time, carried out on the loop of its socket.
#pragma once

#include "actnet/actors/open.hpp"
#include "actnet/actors/sequential/result.hpp"

#include <optional>
#include <utility>

namespace actnet {

class loop_host;

}

namespace actnet::sequential {

/// Who waits for an operation.
class waiter {
 public:
  /// In the loop's thread, once, perhaps within `begin`. The operation is the waiter's again.
  virtual void finished() noexcept = 0;

 protected:
  ~waiter() = default;
};

/// Begun, finished and called off in the thread of its loop. It stays where it is from `begin` to its end.
class operation {
 public:
  operation() = default;
  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;
  virtual ~operation() = default;

  /// Of a handle that is empty, or was moved from: it has no loop, and all that can be done is to `refuse` it.
  virtual bool is_of_nothing() const noexcept { return false; }

  virtual loop_host& home() const noexcept = 0;

  void begin_for(waiter& who) noexcept {
    who_ = &who;
    begin();
  }
  /// It has begun and not finished; the waiter is not told.
  virtual void call_off() noexcept = 0;
  /// It has finished, and nobody will look at what it brought: what can be kept for the next one is.
  virtual void undo() noexcept {}
  /// In place of `begin`, in any thread.
  virtual void refuse(errc cause) noexcept = 0;

 protected:
  virtual void begin() noexcept = 0;
  void tell() noexcept { std::exchange(who_, nullptr)->finished(); }

 private:
  waiter* who_ = nullptr;
};

/// What becomes of an operation's value: nothing else.
struct as_it_is {
  template <class T>
  T operator()(T value) const {
    return value;
  }
};

/// "cannot listen on 127.0.0.1:80: permission denied", with the same code. What has a sentence of its own keeps it.
caf::error about(const char* what, const endpoint_argument& where, const caf::error& cause);

template <class T>
class operation_of : public operation {
 public:
  using value_type = T;

  result<T> take() { return std::move(*outcome_); }
  void refuse(errc cause) noexcept override { outcome_.emplace(failed(cause)); }

 protected:
  void finish(result<T> outcome) noexcept {
    outcome_.emplace(std::move(outcome));
    this->tell();
  }
  std::optional<result<T>> outcome_;
};

} // namespace actnet::sequential
