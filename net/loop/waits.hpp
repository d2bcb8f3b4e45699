// A check of our own code: whatever waits at the end of a turn has somebody who wakes it. A state that nobody wakes is
// a hang, and shows otherwise only as silence.
#pragma once

#include <string_view>

namespace actnet::net {

/// On where ACTNET_CHECK_WAITS is defined for the library (the presets `asan`, `tsan` and `debug`, and libFuzzer's
/// targets); elsewhere nothing of it is run.
#ifdef ACTNET_CHECK_WAITS
inline constexpr bool checks_waits = true;
#else
inline constexpr bool checks_waits = false;
#endif

/// Whatever finds a state that nobody wakes calls this: a line on stderr ("connection: WHAT waits for nobody
/// (DETAILS)"), and the program is aborted.
[[noreturn]] void nobody_wakes(std::string_view machine, std::string_view what, std::string_view details) noexcept;

/// The parts of such a check for one machine in one turn.
class waits_check {
 public:
  /// Both outlive the check.
  waits_check(std::string_view machine, std::string_view details) noexcept : machine_(machine), details_(details) {}

  /// `what` waits if `waits`, and is woken if any of the others is true.
  template <class... Wakers>
  void operator()(bool waits, std::string_view what, Wakers... wakers) const noexcept {
    if (waits && !(wakers || ...))
      nobody_wakes(machine_, what, details_);
  }

 private:
  std::string_view machine_;
  std::string_view details_;
};

/// Has `Check` run at the end of the scope, where checks are on.
template <class Check>
class check_at_end {
 public:
  explicit check_at_end(Check what) noexcept : check_(what) {}
  ~check_at_end() {
    if constexpr (checks_waits)
      check_();
  }
  check_at_end(const check_at_end&) = delete;
  check_at_end& operator=(const check_at_end&) = delete;

 private:
  [[no_unique_address]] Check check_;
};

} // namespace actnet::net
