#include "support/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace actnet::test {

namespace {

struct pipe_ends {
  descriptor read;
  descriptor write;
};

pipe_ends make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    throw std::system_error(errno, std::generic_category(), "pipe2");
  return {descriptor(ends[0]), descriptor(ends[1])};
}

// This process's variables, except those that are set anew, and the new ones.
std::vector<std::string> merged_environment(const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> all;
  for (auto* each = environ; *each != nullptr; ++each) {
    const std::string variable = *each;
    const auto name = variable.substr(0, variable.find('='));
    if (std::none_of(added.begin(), added.end(), [&](const auto& other) { return other.first == name; }))
      all.push_back(variable);
  }
  for (const auto& [name, value] : added)
    all.push_back(name + "=" + value);
  return all;
}

std::string without_turn_alarms(const std::string& text) {
  std::string rest;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    const std::string_view line{text.data() + begin, end - begin};
    if (line.find(" turn-alarm: ") == line.npos)
      rest += line;
    begin = end;
  }
  return rest;
}

// A compiled extended regular expression.
class expression {
 public:
  explicit expression(const std::string& pattern) {
    if (::regcomp(&compiled_, pattern.c_str(), REG_EXTENDED) != 0)
      throw std::invalid_argument("bad pattern: " + pattern);
  }
  ~expression() { ::regfree(&compiled_); }
  expression(const expression&) = delete;
  expression& operator=(const expression&) = delete;

  // The match and its groups, a group that took no part being empty; nothing if there is no match.
  std::vector<std::string> find_in(const std::string& line) const {
    std::vector<regmatch_t> found(compiled_.re_nsub + 1);
    std::vector<std::string> groups;
    if (::regexec(&compiled_, line.c_str(), found.size(), found.data(), 0) != 0)
      return groups;
    for (const auto& [begin, end] : found)
      groups.push_back(begin < 0 ? ""
                                 : line.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
    return groups;
  }

 private:
  regex_t compiled_;
};

std::vector<char*> as_pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& each : texts)
    pointers.push_back(each.data());
  pointers.push_back(nullptr);
  return pointers;
}

} // namespace

process::process(process_options options)
    : name_(options.argv.empty() ? throw std::runtime_error("process: argv is empty") : options.argv[0]),
      wake_up_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  auto input = make_pipe();
  auto out = make_pipe();
  auto err = make_pipe();
  if (!options.input_file.empty()) {
    input.write.reset();
    input.read.reset(::open(options.input_file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!input.read)
      throw std::system_error(errno, std::generic_category(), options.input_file);
  }
  spawn(options, input.read.fd(), out.write.fd(), err.write.fd());
  input_ = std::move(input.write);
  if (input_)
    ::fcntl(input_.fd(), F_SETFL, O_NONBLOCK);
  at(stream::out).pipe = std::move(out.read);
  at(stream::err).pipe = std::move(err.read);
  pending_input_ = options.input.value_or("");
  input_complete_ = options.input.has_value() || !input_;
  pump_thread_ = std::thread([this] { pump(); });
  reaper_thread_ = std::thread([this] { await_end(); });
}

process::~process() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ::eventfd_write(wake_up_.fd(), 1);
  ::kill(-id_, SIGKILL);
  pump_thread_.join();
  reaper_thread_.join();
  ::waitpid(id_, nullptr, 0);
}

void process::spawn(const process_options& options, int input, int output, int errors) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  // What this process was started with, by a build server say, is not for the program, which may have few to begin
  // with.
  ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  auto arguments = options.argv;
  auto environment = merged_environment(options.environment);
  const auto error = ::posix_spawnp(&id_, name_.c_str(), &actions, &attributes, as_pointers(arguments).data(),
                                    as_pointers(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    throw std::runtime_error("cannot run " + name_ + ": " + std::strerror(error));
}

void process::write_input(std::string text) {
  {
    std::lock_guard lock(mutex_);
    pending_input_ += text;
  }
  ::eventfd_write(wake_up_.fd(), 1);
}

void process::close_input() {
  {
    std::lock_guard lock(mutex_);
    input_complete_ = true;
  }
  ::eventfd_write(wake_up_.fd(), 1);
}

void process::send_signal(int number) {
  ::kill(id_, number);
}

bool process::is_running() const {
  std::lock_guard lock(mutex_);
  return !status_;
}

exit_status process::wait(std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  std::unique_lock lock(mutex_);
  if (!changed_.wait_until(lock, end, [&] { return status_.has_value(); }))
    give_up("did not end in time");
  changed_.wait_until(lock, end, [&] { return at(stream::out).ended && at(stream::err).ended; });
  return *status_;
}

std::string process::output(stream which) const {
  std::lock_guard lock(mutex_);
  const auto& text = captured_[static_cast<std::size_t>(which)].text;
  return which == stream::err ? without_turn_alarms(text) : text;
}

std::vector<std::string> process::wait_for_line(stream which, const std::string& pattern,
                                                std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  const expression wanted(pattern);
  std::vector<std::string> groups;
  std::unique_lock lock(mutex_);
  auto& from = at(which);
  const auto search = [&] {
    while (groups.empty() && from.searched < from.text.size()) {
      const auto line_feed = from.text.find('\n', from.searched);
      if (line_feed == std::string::npos && !from.ended)
        return false;
      const auto line = from.text.substr(from.searched, line_feed - from.searched);
      from.searched = line_feed == std::string::npos ? from.text.size() : line_feed + 1;
      groups = wanted.find_in(line);
    }
    return !groups.empty() || from.ended;
  };
  changed_.wait_until(lock, end, search);
  if (groups.empty())
    give_up("no line matches " + pattern);
  return groups;
}

void process::give_up(const std::string& what) const {
  throw std::runtime_error(name_ + ": " + what + "\nstdout: " + captured_[0].text + "\nstderr: " + captured_[1].text);
}

// -- threads ------------------------------------------------------------------------------------------------------

// Moves bytes until both outputs have ended or the destructor runs.
void process::pump() {
  sigset_t broken_pipe;
  ::sigemptyset(&broken_pipe);
  ::sigaddset(&broken_pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
  std::unique_lock lock(mutex_);
  while (!stopping_ && !(at(stream::out).ended && at(stream::err).ended)) {
    if (input_ && !write_some_input())
      input_.reset();
    // A negative descriptor is left out of the wait.
    std::array<pollfd, 4> waiting = {{{wake_up_.fd(), POLLIN, 0},
                                      {input_.fd(), static_cast<short>(pending_input_.empty() ? 0 : POLLOUT), 0},
                                      {captured_[0].pipe.fd(), POLLIN, 0},
                                      {captured_[1].pipe.fd(), POLLIN, 0}}};
    lock.unlock();
    ::poll(waiting.data(), waiting.size(), -1);
    lock.lock();
    eventfd_t count = 0;
    ::eventfd_read(wake_up_.fd(), &count);
    if (waiting[1].revents & POLLERR)
      input_.reset(); // the program closed its end
    for (std::size_t i = 0; i < captured_.size(); ++i)
      if (waiting[i + 2].revents != 0)
        read_some_output(captured_[i]);
  }
  input_.reset();
}

// False when there is nothing left to do with standard input.
bool process::write_some_input() {
  while (!pending_input_.empty()) {
    const auto done = ::write(input_.fd(), pending_input_.data(), pending_input_.size());
    if (done < 0)
      return errno == EAGAIN || errno == EINTR;
    pending_input_.erase(0, static_cast<std::size_t>(done));
  }
  return !input_complete_;
}

void process::read_some_output(captured& from) {
  std::array<char, 65'536> buffer;
  const auto done = ::read(from.pipe.fd(), buffer.data(), buffer.size());
  if (done > 0) {
    from.text.append(buffer.data(), static_cast<std::size_t>(done));
  } else if (done == 0 || errno != EINTR) {
    from.ended = true;
    from.pipe.reset();
  }
  changed_.notify_all();
}

void process::await_end() {
  siginfo_t ended = {};
  // Not reaped before the destructor: until then the number, of process and group, is nobody else's.
  while (::waitid(P_PID, static_cast<id_t>(id_), &ended, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  std::lock_guard lock(mutex_);
  status_ = ended.si_code == CLD_EXITED ? exit_status{ended.si_status, 0} : exit_status{0, ended.si_status};
  changed_.notify_all();
}

} // namespace actnet::test
