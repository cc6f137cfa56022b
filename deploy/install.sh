#!/bin/sh
# Installs invites as a service of systemd, from this folder, as root:
#
#     deploy/install.sh            the service: stays, and runs the jobs when they are due
#     deploy/install.sh --timer    the timer instead: looks every five minutes
#
# Call it twice: the first call puts everything in its place and says which settings to fill in,
# the second one makes the ledger and starts.  Called again later, it installs the program anew
# and leaves settings, credentials and ledger as they are.
# DESTDIR=/some/folder puts all files there instead, and starts nothing.
set -eu
umask 022
cd "$(dirname "$0")/.."

unit=invites.service
case "${1-}" in
    "") ;;
    --timer) unit=invites-run.timer ;;
    *) echo "usage: deploy/install.sh [--timer]" >&2; exit 2 ;;
esac
root="${DESTDIR-}"
if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
    echo "install.sh: it writes to /opt, /etc and /var/lib; run it as root" >&2
    exit 2
fi
settings="$root/etc/invites/invites.toml"
credentials="$root/etc/invites/credentials"
systemd="$root/etc/systemd/system"
state=/var/lib/invites

owned() {  # install -d, for the service's account where it is there
    if [ -z "$root" ]; then install -d -o invites -g invites "$@"; else install -d "$@"; fi
}

credential() {  # a file that only root reads: asked for on a terminal, else empty
    [ -e "$credentials/$1" ] && return
    install -m 0600 /dev/null "$credentials/$1"
    if [ -t 0 ]; then
        printf '%s: ' "$2"
        stty -echo; IFS= read -r typed || typed=; stty echo; echo
        printf '%s' "$typed" > "$credentials/$1"
        unset typed
    fi
}

# The program, pinned by hash.
install -d "$root/opt"
[ -x "$root/opt/invites/bin/python" ] || "${PYTHON:-python3}" -m venv "$root/opt/invites"
"$root/opt/invites/bin/pip" install --quiet --require-hashes -r requirements/run.lock
"$root/opt/invites/bin/pip" install --quiet --no-deps .

# The account, and its folders.
install -D -m 0644 deploy/systemd/invites.sysusers.conf "$root/etc/sysusers.d/invites.conf"
[ -n "$root" ] || systemd-sysusers /etc/sysusers.d/invites.conf
owned -m 0700 "$root$state"
install -d -m 0755 "$root/etc/invites"
install -d -m 0700 "$credentials"

# Settings to fill in; paths that the service may write to, and no secret in them.
if [ ! -e "$settings" ]; then
    sed -e '/^secret = ""/d' \
        -e "s|^room_key_file = \"room.key\"|room_key_file = \"$state/room.key\"|" \
        -e "s|^#folder = \"outbox\"|folder = \"$state/outbox\"|" \
        -e "s|^#url = \"sqlite:///invites.db\"|url = \"sqlite:///$state/invites.db\"|" \
        invites.example.toml > "$settings.new"
    mv "$settings.new" "$settings"
fi
if [ ! -e "$root$state/room.key" ]; then
    (umask 077; od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$root$state/room.key")
    [ -n "$root" ] || chown invites:invites "$state/room.key"
fi
credential jitsi.secret "the Jitsi server's app secret"
credential smtp.password "the mail server's password (empty: none)"

# The units.  An empty mail password is no credential.
for file in invites.service invites-run.service invites-run.timer; do
    install -D -m 0644 "deploy/systemd/$file" "$systemd/$file"
done
for service in invites.service invites-run.service; do
    drop="$systemd/$service.d/no-mail-password.conf"
    if [ -s "$credentials/smtp.password" ]; then
        rm -f "$drop"
    else
        install -d "$systemd/$service.d"
        printf '[Service]\nLoadCredential=\nLoadCredential=jitsi.secret:/etc/invites/credentials/jitsi.secret\n' > "$drop"
    fi
done

if grep -q '^\(url\|app_id\|email\) = ""' "$settings" || [ ! -s "$credentials/jitsi.secret" ]; then
    echo "Fill in url, app_id, the organizer's email and a [[job]] in $settings,"
    echo "write the app secret into $credentials/jitsi.secret if it is empty, then run this again."
    exit 0
fi
[ -z "$root" ] || exit 0

if [ ! -e "$state/invites.db" ] && grep -q "^url = \"sqlite:///$state/invites.db\"" "$settings"; then
    systemd-run --quiet --pipe --wait --uid=invites --gid=invites --working-directory="$state" \
        --setenv=INVITES_CONFIG=/etc/invites/invites.toml \
        --property=LoadCredential=jitsi.secret:/etc/invites/credentials/jitsi.secret \
        /opt/invites/bin/invites run --new-ledger
fi
systemctl daemon-reload
systemctl enable --now "$unit"
systemctl try-restart "$unit"
echo "$unit is enabled; see: journalctl -u ${unit%.timer}, and /opt/invites/bin/invites doctor --jobs"
