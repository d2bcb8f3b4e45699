// A system that has few threads to give.
#pragma once

#include "actnet/net/error.hpp"
#include "actnet/net/threads.hpp"

#include <atomic>

namespace actnet::test {

/// Gives `left` threads, and then refuses.
class few_threads final : public net::thread_factory {
 public:
  explicit few_threads(int left) : left_(left) {}

  net::result<std::unique_ptr<net::running_thread>> start(const std::string& name,
                                                          std::function<void()> work) override {
    if (left_.fetch_sub(1) <= 0)
      return net::failure{make_error_code(net::errc::no_thread)};
    return net::thread_factory::start(name, std::move(work));
  }

 private:
  std::atomic<int> left_;
  const net::replaced_thread_factory in_force_{*this};
};

} // namespace actnet::test
