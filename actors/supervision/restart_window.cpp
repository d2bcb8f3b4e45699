#include "actnet/actors/supervision/restart_window.hpp"

namespace actnet {

bool restart_window::add(net::time_point now) {
  while (!restarts_.empty() && net::later(restarts_.front(), period_) < now)
    restarts_.pop_front();
  restarts_.push_back(now);
  return restarts_.size() <= intensity_;
}

} // namespace actnet
