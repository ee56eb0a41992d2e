// Who may use a server.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace pi0 {

// A key a line; empty lines and those that begin with # are none. Throws Error where there is none,
// where one has fewer than 16 characters or one that no header may have, and where others than the
// file's owner may read it; the group may, where root owns it: so Kubernetes and systemd hand out
// secrets.
std::vector<std::string> read_api_keys(const std::filesystem::path& file);

// Whether a request with that Authorization header may: "Api-Key KEY" (as openpi's client sends
// it), "Bearer KEY", or, as a browser asks for it, "Basic …" with a key as the password. Takes as
// long for one wrong key as for another.
bool is_authorized(const std::vector<std::string>& keys, std::string_view authorization);

}  // namespace pi0
