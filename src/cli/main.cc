#include "cli/command.h"

int main(int argc, char** argv) { return pi0::run_command(argc, argv); }
