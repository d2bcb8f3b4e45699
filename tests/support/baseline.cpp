#include "support/baseline.hpp"

#include "actnet/net/log.hpp"

#include "support/catch.hpp"
#include "support/eventually.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

namespace actnet::test {

namespace {

// Calls `visit` with each numbered entry of a folder, except the descriptor that reads the folder.
template <class Visit>
void for_each_number(const char* folder, Visit visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open_folder(::opendir(folder), ::closedir);
  if (!open_folder)
    return;
  while (const auto* each = ::readdir(open_folder.get())) {
    const std::string_view name = each->d_name;
    auto number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc{} && end == name.data() + name.size() && number != ::dirfd(open_folder.get()))
      visit(number);
  }
}

// What each open descriptor is: a path, or a kind with an inode such as "socket:[4711]".
std::map<int, std::string> open_descriptors() {
  std::map<int, std::string> all;
  for_each_number("/proc/self/fd", [&](int fd) {
    std::array<char, 512> target;
    const auto link = "/proc/self/fd/" + std::to_string(fd);
    const auto size = ::readlink(link.c_str(), target.data(), target.size());
    if (size >= 0)
      all.emplace(fd, std::string(target.data(), static_cast<std::size_t>(size)));
  });
  return all;
}

std::map<int, std::string> running_threads() {
  std::map<int, std::string> all;
  for_each_number("/proc/self/task", [&](int id) {
    std::string name;
    std::getline(std::ifstream("/proc/self/task/" + std::to_string(id) + "/comm"), name);
    all.emplace(id, name);
  });
  return all;
}

using name_query = int (*)(int, sockaddr*, socklen_t*);

std::optional<std::string> address_of(int fd, name_query query) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  if (query(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN> text = {};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size()) + (":" + std::to_string(ntohs(v4.sin_port)));
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    const std::string host = ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    return "[" + host + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  return "unix";
}

std::string describe(int fd, const std::string& target) {
  auto text = "descriptor " + std::to_string(fd) + " is left: " + target;
  auto type = 0;
  auto listening = 0;
  socklen_t size = sizeof(int);
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0)
    return text;
  ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size);
  text += listening != 0 ? ", listening" : type == SOCK_STREAM ? ", stream" : ", datagram";
  text += ", " + address_of(fd, ::getsockname).value_or("unbound");
  if (const auto remote = address_of(fd, ::getpeername))
    text += " -> " + *remote;
  return text;
}

} // namespace

baseline::baseline(std::vector<counter> counters) : counters_(std::move(counters)) {
  // A thread sanitizer starts one of its own together with the first of ours.
  std::thread([] {}).join();
  net::start_log_thread(); // it stays
  descriptors_ = open_descriptors();
  threads_ = running_threads();
  for (const auto& each : counters_)
    counts_.push_back(each.count());
}

baseline::~baseline() {
  check();
}

void baseline::check() {
  if (std::exchange(checked_, true))
    return;
  const auto found = differences();
  for (const auto& each : found)
    FAIL_CHECK(each);
  CHECK(found.empty());
}

std::vector<std::string> baseline::differences(std::chrono::milliseconds patience) const {
  std::vector<std::string> found;
  const auto look = [&] {
    found.clear();
    const auto descriptors = open_descriptors();
    for (const auto& [fd, target] : descriptors)
      if (const auto before = descriptors_.find(fd); before == descriptors_.end() || before->second != target)
        found.push_back(describe(fd, target));
    for (const auto& [fd, target] : descriptors_)
      if (const auto now = descriptors.find(fd); now == descriptors.end() || now->second != target)
        found.push_back("descriptor " + std::to_string(fd) + " was open before and is gone: " + target);
    for (const auto& [id, name] : running_threads())
      if (!threads_.contains(id))
        found.push_back("thread " + std::to_string(id) + " still runs: " + name);
    for (std::size_t i = 0; i < counters_.size(); ++i)
      if (const auto count = counters_[i].count(); count > counts_[i])
        found.push_back(counters_[i].name + ": " + std::to_string(count) + ", before " + std::to_string(counts_[i]));
    return found.empty();
  };
  eventually(look, patience);
  return found;
}

} // namespace actnet::test
