// What an operation of the sequential dialects comes to.
#pragma once

#include "actnet/actors/errors.hpp"
#include "actnet/net/result.hpp"

#include <stdexcept>
#include <type_traits>
#include <utility>

namespace actnet {

/// Thrown by `result::get`.
class operation_failed : public std::runtime_error {
 public:
  explicit operation_failed(caf::error cause) : runtime_error(to_text(cause)), cause_(std::move(cause)) {}
  const caf::error& cause() const noexcept { return cause_; }

 private:
  caf::error cause_;
};

/// A value, or a `caf::error` that tells why there is none: `code_of(r.error())` is what a program acts on, and
/// `partial_of(r.error())` the bytes that came before a read failed.
template <class T>
class [[nodiscard]] result : public net::result<T, caf::error> {
 public:
  using net::result<T, caf::error>::result;

  /// The value; throws `operation_failed` if there is none.
  T get() && {
    if (!this->has_value())
      throw operation_failed{this->error()};
    if constexpr (!std::is_void_v<T>)
      return std::move(*this).value();
  }
};

/// `none` if there is a value.
template <class T>
errc code_of(const result<T>& r) {
  return r ? errc::none : code_of(r.error());
}

inline net::failure<caf::error> failed(caf::error cause) {
  return net::failure{std::move(cause)};
}
inline net::failure<caf::error> failed(errc cause) {
  return net::failure{make_error(cause)};
}

} // namespace actnet
