// The backend over epoll(7).
#pragma once

#include "actnet/net/loop/backend.hpp"

#include <memory>

namespace actnet::net {

/// Fails when the kernel has no descriptor left for it.
result<std::unique_ptr<backend>> make_epoll_backend();

} // namespace actnet::net
