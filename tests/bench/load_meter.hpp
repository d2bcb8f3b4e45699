// The clockwork of a run: warm up, measure, report one line of JSON.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "latency_histogram.hpp"
#include "load_support.hpp"
#include "server_sample.hpp"

namespace actnet::bench {

/// One JSON object of numbers.
class report {
 public:
  void add(std::string_view name, double value) {
    char number[32];
    std::snprintf(number, sizeof number, "%.6g", value);
    text_.append(text_.empty() ? "{\"" : ", \"").append(name).append("\": ").append(number);
  }
  void print() const { std::printf("%s}\n", text_.c_str()); }

 private:
  std::string text_;
};

/// Counts what happens between `measure`'s begin and end. A mode hands in its `step`: one round of its event loop,
/// which must return after some milliseconds at most.
class meter {
 public:
  explicit meter(const options& chosen) : options_(chosen) {}

  void completed(std::uint64_t operations) noexcept { operations_ += operations; }
  /// A broken connection, a wrong echo: kept from the first moment on, warm-up included.
  void failed(std::uint64_t times = 1) noexcept { errors_ += times; }
  void took(steady::duration latency) noexcept {
    latencies_.record(static_cast<std::uint64_t>(std::chrono::nanoseconds(latency).count()));
  }

  /// Steps until nobody is `silent`; after 10 s the run ends.
  template <class Step>
  void hear(Step step, const int& silent) {
    step_until(std::chrono::seconds(10), [&] { return step(), silent == 0; });
    if (silent == 0)
      return;
    std::fprintf(stderr, "load: %d of the connections got no answer\n", silent);
    std::exit(1);
  }

  template <class Step>
  void warm_up(Step step) {
    step_until(options_.warm_up, [&] { return step(), false; });
  }

  template <class Step>
  void measure(Step step) {
    operations_ = 0;
    latencies_ = {};
    const auto cpu = server_cpu();
    const auto start = steady::now();
    step_until(options_.measured, [&] { return step(), false; });
    elapsed_ = steady::now() - start;
    server_cpu_ = server_cpu() - cpu;
  }

  seconds elapsed() const noexcept { return elapsed_; }
  std::uint64_t errors() const noexcept { return errors_; }

  void describe(report& out) const {
    const auto operations = static_cast<double>(operations_);
    out.add("errors", static_cast<double>(errors_));
    out.add("operations", operations);
    out.add("per_second", operations / elapsed_.count());
    if (options_.server != 0 && operations_ > 0)
      out.add("server_us", std::chrono::duration<double, std::micro>(server_cpu_).count() / operations);
    if (latencies_.count() == 0)
      return;
    out.add("p50_us", static_cast<double>(latencies_.percentile(50)) / 1e3);
    out.add("p99_us", static_cast<double>(latencies_.percentile(99)) / 1e3);
    out.add("max_us", static_cast<double>(latencies_.max()) / 1e3);
  }

 private:
  template <class Done>
  static void step_until(seconds limit, Done done) {
    const auto end = steady::now() + limit;
    while (steady::now() < end && !done()) {
    }
  }

  std::chrono::nanoseconds server_cpu() const {
    return options_.server != 0 ? cpu_time(options_.server) : std::chrono::nanoseconds{};
  }

  const options& options_;
  std::uint64_t operations_ = 0;
  std::uint64_t errors_ = 0;
  latency_histogram latencies_;
  seconds elapsed_{};
  std::chrono::nanoseconds server_cpu_{};
};

} // namespace actnet::bench
