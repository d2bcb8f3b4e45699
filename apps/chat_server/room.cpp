#include "room.hpp"

#include <caf/actor_cast.hpp>
#include <caf/result.hpp>

namespace chat {

room::room(caf::actor_config& cfg) : handler(cfg) {
  set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) {
    const auto found = names_.find(down.source);
    if (found == names_.end())
      return;
    const auto name = found->second;
    members_.erase(name);
    names_.erase(found);
    tell_others({}, "* " + name + " left");
  });
}

caf::behavior room::make_behavior() {
  return {
      [this](const enter& e) -> caf::result<caf::ok_atom> {
        const auto who = caf::actor_cast<caf::actor>(current_sender());
        if (!members_.try_emplace(e.name, who).second)
          return actnet::make_error(actnet::errc::already_present, "the name " + e.name + " is taken");
        names_.emplace(who.address(), e.name);
        monitor(who);
        tell_others(who.address(), "* " + e.name + " joined");
        return caf::ok_atom_v;
      },
      [this](const say& s) -> caf::result<caf::ok_atom> {
        const auto who = caf::actor_cast<caf::actor_addr>(current_sender());
        const auto name = name_of(who);
        if (name.empty())
          return actnet::make_error(actnet::errc::not_found);
        tell_others(who, name + ": " + s.line);
        return caf::ok_atom_v;
      },
      [this](const whisper& w) -> caf::result<caf::ok_atom> {
        const auto name = name_of(caf::actor_cast<caf::actor_addr>(current_sender()));
        if (name.empty())
          return actnet::make_error(actnet::errc::not_found);
        if (const auto found = members_.find(w.to); found != members_.end())
          send(found->second, heard{actnet::bytes::copy(name + " (private): " + w.line + "\n")});
        else
          send(members_.at(name), heard{actnet::bytes::copy("* nobody here is called " + w.to + "\n")});
        return caf::ok_atom_v;
      },
  };
}

void room::tell_others(const caf::actor_addr& whose, const std::string& line) {
  const heard message{actnet::bytes::copy(line + "\n")};
  for (const auto& [name, who] : members_)
    if (who != whose)
      send(who, message);
}

std::string room::name_of(const caf::actor_addr& who) const {
  const auto found = names_.find(who);
  return found == names_.end() ? std::string{} : found->second;
}

} // namespace chat
