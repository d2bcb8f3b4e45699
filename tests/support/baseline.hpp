// What a test must leave behind as it found it: descriptors, threads, and whatever else can be counted (invariant I6).
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace actnet::test {

/// Declare it first in a test: it looks at /proc/self when made and again on `check()`, or else on destruction, when
/// everything declared after it is gone. Each thing left over, and each descriptor that vanished, is one failed CHECK.
class baseline {
 public:
  /// Something else whose number must not have grown, e.g. running actors.
  struct counter {
    std::string name;
    std::function<std::size_t()> count;
  };

  explicit baseline(std::vector<counter> counters = {});
  ~baseline();
  baseline(const baseline&) = delete;
  baseline& operator=(const baseline&) = delete;

  /// Only the first call looks.
  void check();

  /// One line for each difference: a descriptor with what it is connected to, a thread with its name, a counter. Empty
  /// as soon as there is none; waits up to `patience` for that, since threads take a moment to go.
  std::vector<std::string> differences(std::chrono::milliseconds patience = std::chrono::milliseconds{2'000}) const;

 private:
  std::map<int, std::string> descriptors_;
  std::map<int, std::string> threads_;
  std::vector<counter> counters_;
  std::vector<std::size_t> counts_;
  bool checked_ = false;
};

} // namespace actnet::test
