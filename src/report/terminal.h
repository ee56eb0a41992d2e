// What the command needs to know of the terminal that it writes to.
#pragma once

namespace pi0 {

// Columns of the terminal behind `file_descriptor`; 80 where it is none or does not say.
int terminal_width(int file_descriptor);

// Whether it is a terminal that goes back to a line's beginning on '\r'.
bool can_rewrite_line(int file_descriptor);

}  // namespace pi0
