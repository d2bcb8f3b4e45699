// What is written to standard error while a test does something.
#pragma once

#include "actnet/net/log.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

namespace actnet::test {

/// What `act`, and the log meanwhile, write to the descriptor.
template <class Act>
std::string standard_error_of(Act act) {
  std::FILE* file = std::tmpfile();
  if (!file)
    return "no temporary file";
  net::flush_log(std::chrono::seconds{10});
  std::fflush(stderr);
  const int kept = ::dup(STDERR_FILENO);
  ::dup2(::fileno(file), STDERR_FILENO);
  act();
  net::flush_log(std::chrono::seconds{10});
  std::fflush(stderr);
  ::dup2(kept, STDERR_FILENO);
  ::close(kept);
  std::string written;
  std::rewind(file);
  for (int c; (c = std::fgetc(file)) != EOF;)
    written += static_cast<char>(c);
  std::fclose(file);
  return written;
}

} // namespace actnet::test
