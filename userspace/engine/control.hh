// SPDX-License-Identifier: GPL-2.0-only
// Where qtinfo asks a running engine on its own machine: a unix socket for root. The client sends
// a JSON object and ends its side; the engine answers with one and ends the connection. qtinfo(8)
// shows what there is to ask.
#pragma once

#include <string>
#include <thread>

#include "engine/rules.hh"
#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

class Control {
 public:
  explicit Control(Rules& rules) : rules_(rules) {}
  ~Control();

  // @error says why not: another engine has the path, most likely.
  Status start(const std::string& path, std::string& error);
  void stop();

 private:
  void serve();
  void answer(int client);
  std::string reply_to(const std::string& request);

  Rules& rules_;
  std::string path_;
  UniqueFd listening_;
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace qtfs
