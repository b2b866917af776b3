"""The command line `allegro`: a client of the REST API, like the web page."""

import argparse
import difflib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from allegro import cli_firmware, cli_install, cli_network, cli_text
from allegro.api.client import Client, segment
from allegro.cli_output import Output
from allegro.errors import AllegroError, InvalidInput
from allegro.paths import Paths
from allegro.system.journal import LEVELS
from allegro.version import own_version

Arguments = argparse.Namespace
KEEPS = ("management", "users", "storage", "keys")
END_STATES = frozenset({"complete", "failed", "cancelled", "refused"})
POLL_S = 0.2


Command = Callable[[Client, Arguments], Output]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0 done, 1 not done, 2 (by argparse) wrong usage."""
    options = parser().parse_args(arguments)
    try:
        output: Output = options.command(Client(options.socket), options)
        print(json.dumps(output.data, indent=2, ensure_ascii=False) if options.json else output.text)
    except AllegroError as error:
        if options.json:
            detail = {"message": error.message, "place": error.place, "remedy": error.remedy}
            print(json.dumps({"error": detail}, indent=2, ensure_ascii=False))
        else:
            print(f"allegro: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `allegro jobs | head`
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130
    return output.exit_code


def parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    common = argparse.ArgumentParser(add_help=False)
    # Without defaults of their own: else those of `status` would undo the --json of `export --json status`.
    hidden = argparse.SUPPRESS
    common.add_argument(
        "--json", action="store_true", default=hidden, help="answer as JSON, as the REST API does"
    )
    common.add_argument("--socket", type=Path, default=hidden, help=hidden)
    top = argparse.ArgumentParser(
        prog="allegro", description="Shows and controls this Allegro network multimeter."
    )
    top.set_defaults(json=False, socket=Paths().api_socket)
    top.add_argument("--version", action="version", version=f"Allegro {own_version()}")
    commands = top.add_subparsers(required=True, metavar="command")

    def add(name: str, command: Command, text: str, where: Any = commands) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = where.add_parser(name, help=text, description=text, parents=[common])
        made.set_defaults(command=command)
        return made

    add("status", _status, "The device at a glance, with its problems")
    trigger = add("trigger", _trigger, "Cut out the last minute, as a press of the presenter does")
    trigger.add_argument(
        "--before", type=float, metavar="SECONDS", help="reach back so far instead of the setting"
    )
    trigger.add_argument(
        "--after", type=float, metavar="SECONDS", help="go on so long instead of the setting"
    )
    trigger.add_argument("--time", metavar="TIME", help="time of the press (ISO 8601, UTC) instead of now")
    trigger.add_argument("--key", help="key to put into the file name (manual)")
    trigger.add_argument("--wait", action="store_true", help="wait until the file is complete")
    jobs = add("jobs", _jobs, "Captures: all, or one by its number")
    jobs.add_argument("id", type=int, nargs="?", metavar="NUMBER")
    jobs.add_argument("--limit", type=int, default=20, help="so many of the newest (%(default)s)")
    jobs.add_argument("--cancel", action="store_true", help="end the capture NUMBER without a file")
    add("ring", _ring, "The packet ring and the measuring ports")

    log = add("log", _log, "What the device has logged since its last start")
    log.add_argument("--limit", type=int, default=100, help="so many of the newest (%(default)s)")
    log.add_argument("--level", choices=LEVELS, default="info", help="at least so important (%(default)s)")

    settings = commands.add_parser("settings", help="Show or change the settings").add_subparsers(
        required=True, metavar="get|set"
    )
    get = add("get", _settings_get, "All settings, one section or one value", settings)
    get.add_argument("path", nargs="?", default="", metavar="PATH", help="for example trigger.before_s")
    change = add("set", _settings_set, "Change settings: all of them, or none if one is wrong", settings)
    change.add_argument("changes", nargs="+", metavar="PATH=VALUE", help="for example trigger.before_s=90")

    export = add("export", _export_status, "Upload by SFTP: state and queue")
    actions = export.add_subparsers(metavar="action")
    add("status", _export_status, "State and queue", actions)
    add("now", _export_now, "Send everything in the upload directory now", actions)
    add("test", _export_test, "Connect, show the server's host key, write a test file", actions)
    accept = add("accept-host-key", _export_accept, "Trust the server by its host key from now on", actions)
    accept.add_argument(
        "fingerprint", nargs="?", help="SHA256:…; without it the key that the last test showed"
    )
    add("public-key", _export_public_key, "The device's own key, for authorized_keys on the server", actions)

    wifi = add("wifi", _wifi, "WiFi: state, and who is in the device's own network")
    wifi_actions = wifi.add_subparsers(metavar="action")
    add("status", _wifi, "State, and who is in the device's own network", wifi_actions)
    add("scan", _wifi_scan, "Look for networks, which takes a few seconds", wifi_actions)

    power = commands.add_parser("power", help="Start the device again, or switch it off").add_subparsers(
        required=True, metavar="reboot|off"
    )
    add("reboot", _reboot, "Start the device again", power)
    add("off", _power_off, "Switch the device off", power)

    resets = commands.add_parser("reset", help="Put settings back to their defaults").add_subparsers(
        required=True, metavar="configuration"
    )
    text = "Remove all settings but captures; the device starts again"
    configuration = add("configuration", _reset_configuration, text, resets)
    configuration.add_argument("--keep", nargs="+", choices=KEEPS, default=[], help="what to spare")

    files = add("files", _files, "Finished captures")
    file_actions = files.add_subparsers(metavar="action")
    add("list", _files, "Finished captures", file_actions)
    delete = add("delete", _files_delete, "Delete captures", file_actions)
    delete.add_argument("names", nargs="+", metavar="NAME")
    cli_firmware.register(add)
    cli_install.register(add)
    cli_network.add_commands(add, commands)
    return top


def _status(client: Client, _: Arguments) -> Output:
    answer = client.get("/status")
    return Output(answer, cli_text.status(answer))


def _trigger(client: Client, arguments: Arguments) -> Output:
    asked = {
        "before_s": arguments.before,
        "after_s": arguments.after,
        "time": arguments.time,
        "key": arguments.key,
    }
    body = {name: value for name, value in asked.items() if value is not None}
    job = client.post("/trigger", {"source": "cli", **body})
    if arguments.wait:
        job = _wait(client, job)
    return _job_output(job)


def _wait(client: Client, job: Any) -> Any:
    shown = ""
    live = sys.stderr.isatty()
    while job["state"] not in END_STATES:
        line = f"{job['state']} {job['progress']:.0%}" if job["state"] == "cutting" else job["state"]
        if live and line != shown:
            print(f"\r{line:<20}", end="", file=sys.stderr, flush=True)
            shown = line
        time.sleep(POLL_S)
        job = client.get(f"/jobs/{job['id']}")
    if shown:
        print(f"\r{'':<20}\r", end="", file=sys.stderr, flush=True)
    return job


def _job_output(job: Any) -> Output:
    return Output(job, cli_text.job(job), exit_code=1 if job["state"] in ("failed", "refused") else 0)


def _jobs(client: Client, arguments: Arguments) -> Output:
    if arguments.id is None:
        if arguments.cancel:
            raise InvalidInput(
                "The number of the capture is missing.", remedy="`allegro jobs` shows the numbers."
            )
        answer = client.get("/jobs", limit=arguments.limit)
        return Output(answer, cli_text.jobs(answer))
    if arguments.cancel:
        return _job_output(client.post(f"/jobs/{arguments.id}/cancel"))
    answer = client.get(f"/jobs/{arguments.id}")
    return Output(answer, cli_text.job(answer))


def _ring(client: Client, _: Arguments) -> Output:
    answer = client.get("/ring")
    return Output(answer, cli_text.ring(answer))


def _log(client: Client, arguments: Arguments) -> Output:
    answer = client.get("/log", limit=arguments.limit, level=arguments.level)
    return Output(answer, cli_text.log(answer))


def _settings_get(client: Client, arguments: Arguments) -> Output:
    answer = setting(client.get("/settings"), arguments.path)
    return Output(answer, cli_text.settings(answer, arguments.path))


def _settings_set(client: Client, arguments: Arguments) -> Output:
    patch = settings_patch(client.get("/settings"), arguments.changes)
    answer = client.patch("/settings", patch)
    changed = [change.partition("=")[0] for change in arguments.changes]
    rows = ((path, "=", cli_text.value(setting(answer["settings"], path))) for path in changed)
    notes = [f"Saved, but not in effect yet: {warning}" for warning in answer["warnings"]]
    if answer["confirm_within_s"] is not None:
        notes.append(cli_network.confirm_hint(answer["confirm_within_s"]))
    return Output(answer, "\n".join([cli_text.table(rows), *notes]))


def _export_status(client: Client, _: Arguments) -> Output:
    answer = client.get("/export")
    return Output(answer, cli_text.export(answer))


def _export_now(client: Client, _: Arguments) -> Output:
    answer = client.post("/export/now")
    return Output(
        answer, f"{answer['files']} files are being sent; `allegro export status` shows how far it is."
    )


def _export_test(client: Client, _: Arguments) -> Output:
    answer = client.post("/export/test")
    text = f"Host key {answer['fingerprint']}\n{answer['message']}"
    if not answer["accepted"]:
        text += "\n`allegro export accept-host-key` accepts it."
    changed = answer["pinned"] and not answer["accepted"]
    return Output(answer, text, exit_code=1 if changed else 0)


def _export_accept(client: Client, arguments: Arguments) -> Output:
    given = {} if arguments.fingerprint is None else {"fingerprint": arguments.fingerprint}
    answer = client.post("/export/host-key", given)
    return Output(answer, f"Accepted host key {answer['host_key']} of {answer['server']}.")


def _export_public_key(client: Client, _: Arguments) -> Output:
    answer = client.get("/export")
    if not answer["public_key"]:
        raise AllegroError(answer["problem"])
    return Output({"public_key": answer["public_key"]}, answer["public_key"])


def _wifi(client: Client, _: Arguments) -> Output:
    answer = client.get("/wifi")
    return Output(answer, cli_text.wifi(answer))


def _wifi_scan(client: Client, _: Arguments) -> Output:
    answer = client.post("/wifi/scan")
    return Output(answer, cli_text.wifi_networks(answer["scan"]["networks"]))


def _reset_configuration(client: Client, arguments: Arguments) -> Output:
    answer = client.post("/reset", {"keep": arguments.keep})
    kept = f" Kept: {', '.join(arguments.keep)}." if arguments.keep else ""
    return Output(answer, f"All settings go back to their defaults; the device starts again.{kept}")


def _reboot(client: Client, _: Arguments) -> Output:
    return Output(client.post("/power", {"action": "reboot"}), "The device starts again.")


def _power_off(client: Client, _: Arguments) -> Output:
    return Output(client.post("/power", {"action": "power-off"}), "The device switches itself off.")


def _files(client: Client, _: Arguments) -> Output:
    answer = client.get("/files")
    return Output(answer, cli_text.files(answer))


def _files_delete(client: Client, arguments: Arguments) -> Output:
    for name in arguments.names:
        client.delete(f"/files/{segment(name)}")
    return Output({"deleted": arguments.names}, "\n".join(f"Deleted {name}." for name in arguments.names))


def setting(settings: Any, path: str) -> Any:
    """The section or value at a dotted path. Raises InvalidInput that names it if there is none."""
    found = settings
    for name in path.split(".") if path else ():
        if not isinstance(found, dict) or name not in found:
            close = difflib.get_close_matches(path, _paths(settings), n=1, cutoff=0.6)
            hint = f"Do you mean {close[0]}?" if close else "`allegro settings get` lists all of them."
            raise InvalidInput("There is no such setting.", place=path, remedy=hint)
        found = found[name]
    return found


def settings_patch(settings: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """The nested patch of `PATH=VALUE` changes to the present `settings`.

    A value is taken as it is where the setting is a text, else as JSON. Raises InvalidInput.
    """
    patch: dict[str, Any] = {}
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            raise InvalidInput("A change is written PATH=VALUE.", place=change)
        present = setting(settings, path)
        *sections, name = path.split(".")
        holder = patch
        for section in sections:
            holder = holder.setdefault(section, {})
        holder[name] = text if isinstance(present, str) else _json_or_text(text)
    return patch


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _paths(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, value in settings.items():
        found.append(prefix + name)
        if isinstance(value, dict):
            found += _paths(value, f"{prefix}{name}.")
    return found


if __name__ == "__main__":
    sys.exit(main())
