#include "actnet/actors/listener.hpp"

#include "actnet/actors/messages.hpp"

namespace actnet {

void listener::pause_accepting() const {
  tell(actnet::pause_accepting{});
}

void listener::resume_accepting(std::uint64_t connections) const {
  tell(actnet::resume_accepting{connections});
}

void listener::set_limits(const actnet::set_limits& limits) const {
  tell(limits);
}

void listener::stop_listening() const {
  tell(actnet::stop_listening{});
}

void listener::drain(std::chrono::milliseconds deadline) const {
  tell(actnet::drain{deadline});
}

} // namespace actnet
