"""A mail server that delivers nothing: it stores every mail it gets as a file.

`python -m stack.mail_sink HOST PORT FOLDER`. A file's name begins with the UTC time of arrival, so that names
sort by arrival.
"""

import argparse
import asyncio
import signal
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

STORED = "250 Message stored"
NOT_STORED = "452 Cannot store the message: insufficient system storage"


class Sink:
    """Stores each mail in a folder, whole or not at all: `<time>-<identifier>.eml`.

    The envelope's sender and recipients, which also names blind copies, stand before the mail's own headers.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Store one mail; called by aiosmtpd when a mail has arrived."""
        arrived = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%fZ")
        final = self.folder / f"{arrived}-{uuid.uuid4().hex[:8]}.eml"
        written = final.with_suffix(".tmp")
        try:
            written.write_bytes(_stored_form(envelope))
            written.rename(final)
        except OSError as problem:
            print(f"cannot store a mail as {final}: {problem}", file=sys.stderr)
            return NOT_STORED
        print(f"{final.name}: from {envelope.mail_from} to {', '.join(envelope.rcpt_tos)}")
        return STORED


def _stored_form(envelope: Envelope) -> bytes:
    recipients = ", ".join(envelope.rcpt_tos)
    headers = f"X-Envelope-From: {envelope.mail_from}\r\nX-Envelope-To: {recipients}\r\n"
    content = envelope.original_content or b""
    return headers.encode() + content


async def serve(host: str, port: int, folder: Path) -> None:
    """Take mails until the process is told to end (SIGTERM, SIGINT)."""
    folder.mkdir(parents=True, exist_ok=True)
    loop = asyncio.get_running_loop()
    told_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_end.set)
    server = await loop.create_server(lambda: SMTP(Sink(folder), enable_SMTPUTF8=True), host, port)
    async with server:
        await told_to_end.wait()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.host, arguments.port, arguments.folder))


if __name__ == "__main__":
    main()
