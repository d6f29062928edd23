"""The commands by name, and how each of them ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from copy import copy
from importlib import metadata
from typing import Annotated, NoReturn

import typer
from typer.models import CommandInfo

from service.cli import (
    archive,
    audit,
    control,
    customers,
    decisions,
    demo,
    drift,
    evaluate,
    explaining,
    identities,
    loads,
    log,
    log_verify,
    models,
    promote,
    prove,
    refresh,
    registry,
    replay,
    rights,
    securing,
    serve,
    simulate,
    strategies,
    supply,
    tend,
    triggers,
    watch,
    what_if,
)
from service.cli.options import CONTEXT, example
from service.cli.output import Failed, note, say
from service.config import SettingRefused
from service.scheduling import quiet_grpc

tact = typer.Typer(
    name="tact",
    help="Decides what to say to a customer: a greeting, an offer, or nothing, and why.",
    epilog=example("tact demo"),
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings=CONTEXT,
)
context = typer.Typer(
    help="Show what is known of a customer, and set the consent.", epilog=customers.SHOW_EXAMPLE, rich_markup_mode=None
)
events = typer.Typer(help="Load events.", epilog=loads.EVENTS_EXAMPLE, rich_markup_mode=None)
identity = typer.Typer(help="Link ids to one person.", epilog=identities.LINK_EXAMPLE, rich_markup_mode=None)
supplies = typer.Typer(
    help="Report what there is, and hear what is wanted.", epilog=supply.REPORT_EXAMPLE, rich_markup_mode=None
)
switches = typer.Typer(
    help="Switch actions off and on: the kill switch.", epilog=control.OFF_EXAMPLE, rich_markup_mode=None
)
due = typer.Typer(
    help="Hear what is due of itself, and look after what nobody could finish.",
    epilog=triggers.SUBSCRIBE_EXAMPLE,
    rich_markup_mode=None,
)
logs = typer.Typer(help="The decision log as tables.", epilog=log.EXPORT_EXAMPLE, rich_markup_mode=None)
registries = typer.Typer(help="Show the versions of models.", epilog=registry.LIST_EXAMPLE, rich_markup_mode=None)
consents = typer.Typer(help="Load consents.", epilog=loads.CONSENTS_EXAMPLE, rich_markup_mode=None)

tact.command(epilog=demo.EXAMPLE)(demo.demo)
tact.command(epilog=serve.EXAMPLE)(serve.serve)
tact.command(epilog=decisions.DECIDE_EXAMPLE)(decisions.decide)
tact.command(epilog=watch.EXAMPLE)(watch.watch)
tact.add_typer(context, name="context")
context.command(epilog=customers.SHOW_EXAMPLE)(customers.show)
context.command(epilog=customers.CONSENT_EXAMPLE)(customers.consent)
tact.add_typer(events, name="events")
events.command("load", epilog=loads.EVENTS_EXAMPLE)(loads.load_events)
tact.add_typer(consents, name="consents")
consents.command("load", epilog=loads.CONSENTS_EXAMPLE)(loads.load_consents)
tact.command(epilog=decisions.VALIDATE_EXAMPLE)(decisions.validate)
tact.command(epilog=explaining.EXAMPLE)(explaining.explain)
tact.command("what-if", epilog=what_if.EXAMPLE)(what_if.what_if)
tact.command(epilog=decisions.OUTCOME_EXAMPLE)(decisions.outcome)
tact.add_typer(identity, name="identity")
tact.command("export", epilog=rights.EXPORT_EXAMPLE)(rights.export)
tact.command(epilog=rights.ERASE_EXAMPLE)(rights.erase)
identity.command(epilog=identities.LINK_EXAMPLE)(identities.link)
identity.command(epilog=identities.UNLINK_EXAMPLE)(identities.unlink)
identity.command("show", epilog=identities.SHOW_EXAMPLE)(identities.show_identities)
tact.add_typer(supplies, name="supply")
supplies.command(epilog=supply.REPORT_EXAMPLE)(supply.report)
supplies.command(epilog=supply.DEMAND_EXAMPLE)(supply.demand)
tact.add_typer(due, name="triggers")
due.command(epilog=triggers.SUBSCRIBE_EXAMPLE)(triggers.subscribe)
due.command(epilog=triggers.DEAD_EXAMPLE)(triggers.dead)
due.command(epilog=triggers.RELEASE_EXAMPLE)(triggers.release)
tact.add_typer(logs, name="log")
logs.command("export", epilog=log.EXPORT_EXAMPLE)(log.export_log)
logs.command("import", epilog=log.IMPORT_EXAMPLE)(log.import_log)
logs.command("verify", epilog=log_verify.EXAMPLE)(log_verify.verify_log)
logs.command("archive", epilog=archive.EXAMPLE)(archive.archive_log)
tact.command(epilog=models.TRAIN_EXAMPLE)(models.train)
tact.command(epilog=models.PREDICTIONS_EXAMPLE)(models.train_predictions)
tact.command(epilog=models.VERIFY_EXAMPLE)(models.verify)
tact.command(epilog=evaluate.EXAMPLE)(evaluate.evaluate)
tact.command(epilog=simulate.EXAMPLE)(simulate.simulate)
tact.add_typer(registries, name="models")
registries.command("list", epilog=registry.LIST_EXAMPLE)(registry.list_models)
registries.command(epilog=registry.CARD_EXAMPLE)(registry.card)
registries.command(epilog=registry.HISTORY_EXAMPLE)(registry.history)
registries.command(epilog=registry.SHADOW_EXAMPLE)(registry.shadow)
tact.command(epilog=promote.EXAMPLE)(promote.promote)
tact.command(epilog=drift.EXAMPLE)(drift.drift)
tact.command(epilog=drift.RECALIBRATE_EXAMPLE)(drift.recalibrate)
tact.command(epilog=refresh.EXAMPLE)(refresh.refresh)
tact.command(epilog=tend.EXAMPLE)(tend.tend)
tact.command(epilog=strategies.EXAMPLE)(strategies.check)
tact.command(epilog=replay.EXAMPLE)(replay.replay)
tact.command(epilog=prove.EXAMPLE)(prove.prove)
tact.command(epilog=serve.HEALTH_EXAMPLE)(serve.health)
tact.command(epilog=control.STATUS_EXAMPLE)(control.status)
tact.add_typer(switches, name="switch")
tact.command("audit", epilog=audit.EXAMPLE)(audit.audit)
switches.command("off", epilog=control.OFF_EXAMPLE)(control.switch_off)
switches.command("on", epilog=control.ON_EXAMPLE)(control.switch_on)
switches.command("list", epilog=control.LIST_EXAMPLE)(control.list_switches)


@context.callback()
@events.callback()
@consents.callback()
def _group() -> None:
    """Keep `load` a command of its own, though it is the only one of its group."""


def _say_version(wanted: bool) -> None:
    if wanted:
        try:
            say(f"tact {metadata.version('tact')}")
        except metadata.PackageNotFoundError:
            say("tact, run from a folder of sources and not installed")
        raise typer.Exit


@tact.callback()
def _tact(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", is_eager=True, callback=_say_version)
    ] = False,
    token_file: securing.TokenFile = None,
    tls: securing.WithTls = False,
    tls_ca: securing.TlsCa = None,
    tls_name: securing.TlsName = None,
    client_cert: securing.ClientCert = None,
    client_key: securing.ClientKey = None,
) -> None:
    """Take what stands before the command."""
    securing.say_secured(
        token=token_file, tls=tls, ca=tls_ca, name=tls_name or "", certificate=client_cert, key=client_key
    )


def main() -> NoReturn:
    """Run the command that this process was started with, and end the process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return how the process ends: 0, 1 for a failure, 2 for a command that is wrong."""
    quiet_grpc()
    try:
        ended = _typed(arguments)(list(arguments) or ["--help"], prog_name="tact", standalone_mode=False)
        return int(ended or 0)
    except Failed as failed:
        return _error(failed.message, failed.code)
    except SettingRefused as refused:
        return _error(str(refused), 2)
    except typer.TyperException as wrong:
        return _error(f"{_sentence(wrong.format_message())} See `{_command(wrong)} --help`.", wrong.exit_code)
    except UnicodeEncodeError:
        return _error("an argument is not UTF-8; write it as text", 2)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has gone; Python would complain about that at its end
        return 1
    except OSError as error:
        return _error(f"{error.filename or 'a file'}: {error.strerror or error}", 1)


def _typed(arguments: Sequence[str]) -> typer.Typer:
    """Return the program with the one command or group that is typed first; with all where that names none.

    Reading what all others take would be a quarter of the time of a short command.
    """
    commands = [one for one in tact.registered_commands if _name(one) in arguments[:1]]
    groups = [one for one in tact.registered_groups if one.name in arguments[:1]]
    if not commands and not groups:
        return tact
    alone = copy(tact)
    alone.registered_commands, alone.registered_groups = commands, groups
    return alone


def _name(command: CommandInfo) -> str:
    return command.name or str(getattr(command.callback, "__name__", "")).replace("_", "-")


def _sentence(message: str) -> str:
    return message if message.endswith((".", "?", "!")) else f"{message}."


def _command(wrong: typer.TyperException) -> str:
    """Return the command that was typed wrongly, as far as it could be read."""
    context = getattr(wrong, "ctx", None)
    return "tact" if context is None else str(context.command_path)


def _error(message: str, code: int) -> int:
    note(f"tact: {message}")
    return code
