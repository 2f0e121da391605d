"""`python -m benchmarks COMMAND`: measure tamago and its peers side by side, print a table, keep the figures in `results/`."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from benchmarks import (
    accepting,
    booting,
    connections,
    draining,
    frameworks,
    idle,
    installing,
    memory,
    messenger,
    recording,
    reloading,
    report,
    soak,
    startup,
    throughput,
    websocket_echo,
)

BENCHMARKS = {
    "start": startup,
    "memory": memory,
    "reload": reloading,
    "messenger": messenger,
    "idle": idle,
    "connections": connections,
    "http": throughput,
    "framework": frameworks,
    "framework-start": booting,
    "websocket": websocket_echo,
    "access-log": recording,
    "accept": accepting,
    "drain": draining,
}
QUICK = {
    "start": ["--repeat", "1"],
    "memory": ["--requests", "1000"],
    "reload": ["--repeat", "1"],
    "messenger": ["--repeat", "3"],
    "idle": [],
    "connections": ["--connections", "2000", "--seconds", "5"],
    "http": ["--repeat", "1"],
    "framework": ["--repeat", "1"],
    "framework-start": ["--repeat", "3"],
    "websocket": ["--repeat", "1"],
    "access-log": ["--repeat", "1"],
    "accept": ["--repeat", "2"],
    "drain": ["--seconds", "20", "--requests", "20000"],
}
BUSY = 0.5  # load average above which somebody else's work is part of the figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help=(installing.__doc__ or "").splitlines()[0])
    for name, module in BENCHMARKS.items():
        command = commands.add_parser(name, help=(module.__doc__ or "").splitlines()[0])
        command.add_argument("--servers", nargs="*", default=[], metavar="NAME", help="only those whose name begins with one of these")
        module.add_arguments(command)
    everything = commands.add_parser("all", help="All of them one after the other, then the report: about 40 minutes.")
    everything.add_argument("--quick", action="store_true", help="fewer repetitions: about 15 minutes")
    soak.add_arguments(commands.add_parser("soak", help=(soak.__doc__ or "").splitlines()[0]))
    commands.add_parser("report", help=(report.__doc__ or "").splitlines()[0])
    return parser


def _measure(arguments: argparse.Namespace) -> None:
    module = BENCHMARKS[arguments.command]
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"the machine is busy already (load {load:.1f}): ratios may hold, times will not", flush=True)
    result = module.run(arguments)
    result.settings["load before"] = round(load, 1)
    result.save()
    print(module.render(result), flush=True)
    if (problem := getattr(module, "problem", lambda _: None)(result)) is not None:
        sys.exit(f"not as it must be: {problem}")


def _report() -> None:
    report.write({name: module.render for name, module in BENCHMARKS.items()})


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    # Whoever ends us, the servers we started must end as well: leave through the finally blocks.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    match arguments.command:
        case "setup":
            installing.run(arguments)
        case "report":
            _report()
        case "soak":
            sys.exit(soak.run(arguments))
        case "all":
            for name in BENCHMARKS:
                _measure(parser.parse_args([name, *(QUICK[name] if arguments.quick else [])]))
            _report()
        case _:
            _measure(arguments)


if __name__ == "__main__":
    main()
