# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of forksrv(1) for fish.

# The words before the cursor, the command itself among them.
function __forksrv_no_subcommand
    test (count (commandline -opc)) -eq 1
end

# Where the first operand is among the words; fails while there is none. After '--' it may be the word that is being written.
function __forksrv_first_operand
    set -l words (commandline -opc)
    set -l i 3
    while test $i -le (count $words)
        switch $words[$i]
            case --
                echo (math $i + 1)
                return 0
            case '--*=*'
            case - # and no '-?*' below: to fish 4 a '?' is no wildcard
                echo $i
                return 0
            case '-*'
                __forksrv_takes_value $words[2] $words[$i]; and set i (math $i + 1)
            case '*'
                echo $i
                return 0
        end
        set i (math $i + 1)
    end
    return 1
end

function __forksrv_is
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- "$words[2]" $argv
end

# Whether options of this subcommand can come.
function __forksrv_in
    __forksrv_is $argv[1]; or return 1
    contains -- -- (commandline -opc); and return 1
    __forksrv_is run app python bench; or return 0
    not __forksrv_first_operand >/dev/null
end

# Whether an operand of this subcommand can come: not the value of an option.
function __forksrv_operand
    __forksrv_is $argv; or return 1
    set -l words (commandline -opc)
    test (count $words) -ge 3; or return 0
    contains -- -- $words; or not __forksrv_takes_value $words[2] $words[-1]
end

# With a zygote it is a script and no program.
function __forksrv_of_zygote
    string match -q -r -- '^(-z|--zygote)' (commandline -opc)
end

# The IDs of desktop entries.
function __forksrv_apps
    set -l folders $XDG_DATA_HOME
    test -n "$folders"; or set folders ~/.local/share
    set -l others (string split -n : -- "$XDG_DATA_DIRS")
    test -n "$others"; or set others /usr/local/share /usr/share
    for folder in $folders $others
        for file in $folder/applications/*.desktop $folder/applications/*/*.desktop
            string replace -a / - -- (string replace -- $folder/applications/ '' $file)
        end
    end
end

# Whether the first operand is a desktop entry.
function __forksrv_of_entry
    string match -q -- '*.desktop*' (__forksrv_first_word)
end
function __forksrv_first_word
    set -l words (commandline -opc)
    set -l first (__forksrv_first_operand); and echo -- $words[$first]
end

# The program of run, app and bench, and all that follows it.
function __forksrv_program
    set -l words (commandline -opc)
    set -l first (__forksrv_first_operand)
    set -l before
    if test -n "$first"
        set before (string escape -- $words[$first..-1])
    else if string match -q -- '-*' (commandline -ct)
        return
    end
    complete --do-complete=(string join ' ' -- $before (commandline -ct))
end

# Runs the command that is being completed on the instance that its line names so far; never for long.
function __forksrv_ask
    set -l words (commandline -opc)
    set -l target
    set -l i 3
    while test $i -le (count $words)
        switch $words[$i]
            case '--address=*' '--user=*' '--authkey-file=*'
                set -a target $words[$i]
            case --address --user --authkey-file
                set i (math $i + 1)
                test $i -le (count $words); and set -a target $words[(math $i - 1)]=$words[$i]
        end
        set i (math $i + 1)
    end
    command timeout 3 $words[1] $argv $target 2>/dev/null </dev/null
end

# A table: its first column, without the mark of detached workers, and the rest as what is said about it.
function __forksrv_rows
    tail -n +2 | string replace -r '^ *([^ +]+)\+? *' '$1\t'
end

function __forksrv_workers
    __forksrv_ask list --running | __forksrv_rows
end

function __forksrv_ended
    __forksrv_ask list | __forksrv_rows
end

function __forksrv_zygotes
    __forksrv_ask zygote list | __forksrv_rows
end

# Users with a system instance; all users where none can be found.
function __forksrv_instances
    set -l units (command systemctl list-units --all --plain --no-legend --no-pager 'forksrv@*.socket' 'forksrv@*.service' 2>/dev/null)
    set -l users (string replace -r '^forksrv@(.*?)\.(?:socket|service) .*' '$1' -- $units | sort -u)
    if test (count $users) -gt 0
        string join \n -- $users
    else
        __fish_complete_users
    end
end

function __forksrv_users
    __fish_complete_users
end

function __forksrv_folders
    __fish_complete_directories (commandline -ct)
end

function __forksrv_signals
    kill -l | string split ' ' | string match -r '[A-Z].*'
end

function __forksrv_variables
    set -nx
end

function __forksrv_rlimits
    string join \n as= core= cpu= data= fsize= locks= memlock= msgqueue= nice= nofile= nproc= rss= rtprio= rttime= sigpending= stack=
end

function __forksrv_slices
    string join \n app background session
end

function __forksrv_orders
    string join \n cpu memory age id name
end

# A list with commas.
function __forksrv_methods
    set -l before (string match -r '^(?:.*=)?(.*,)?' -- (commandline -ct))[2]
    string replace -r '^' "$before" posix-spawn fork-exec session session-started connection
end

complete -c forksrv -f

# ---- written by completions/update: begin ----
# Whether option $argv[2] of subcommand $argv[1] takes a value.
function __forksrv_takes_value
    switch $argv[1]
        case run
            contains -- $argv[2] -z --zygote -E --setenv --unset-env -C --chdir --fd --umask --name --timeout --grace --rlimit --nice --oom-score-adj --memory-max --tasks-max --cpu-weight --json-file --address --user --authkey-file
        case app
            contains -- $argv[2] -s --slice -a --app-name -u --unit -d --description -t --type -z --zygote --address --user --authkey-file
        case list
            contains -- $argv[2] --address --user --authkey-file
        case status
            contains -- $argv[2] --address --user --authkey-file
        case top
            contains -- $argv[2] -d --delay -n --count --sort --address --user --authkey-file
        case kill
            contains -- $argv[2] -s --signal --address --user --authkey-file
        case wait
            contains -- $argv[2] --timeout --address --user --authkey-file
        case watch
            contains -- $argv[2] -n --count --address --user --authkey-file
        case zygote
            contains -- $argv[2] --address --user --authkey-file
        case python
            contains -- $argv[2] -z --zygote --spares --user --address --authkey-file
        case ping
            contains -- $argv[2] -c --count -i --interval --address --user --authkey-file
        case keygen
            contains -- $argv[2] --system --user --owner
        case bench
            contains -- $argv[2] --totals --active --methods --repeat --address --user --authkey-file
        case '*'
            false
    end
end
complete -c forksrv -n __forksrv_no_subcommand -a run -d 'start a worker, and end as it does'
complete -c forksrv -n __forksrv_no_subcommand -a app -d 'start an application of the desktop in its own unit'
complete -c forksrv -n __forksrv_no_subcommand -a list -d 'the workers of the instance'
complete -c forksrv -n __forksrv_no_subcommand -a status -d 'counters and limits of the instance'
complete -c forksrv -n __forksrv_no_subcommand -a top -d 'what the instance does, live'
complete -c forksrv -n __forksrv_no_subcommand -a kill -d 'send a signal to workers'
complete -c forksrv -n __forksrv_no_subcommand -a wait -d 'wait for workers, and end as they did'
complete -c forksrv -n __forksrv_no_subcommand -a watch -d 'print what happens, as it happens'
complete -c forksrv -n __forksrv_no_subcommand -a zygote -d 'warm processes that workers are forked from'
complete -c forksrv -n __forksrv_no_subcommand -a python -d 'run a Python program with processes of a zygote'
complete -c forksrv -n __forksrv_no_subcommand -a ping -d 'measure round trips to the instance'
complete -c forksrv -n __forksrv_no_subcommand -a keygen -d 'make the key of an instance'
complete -c forksrv -n __forksrv_no_subcommand -a bench -d 'measure how fast processes are started'
complete -c forksrv -n __forksrv_no_subcommand -a help -d 'print this help, or that of a subcommand'
complete -c forksrv -n '__forksrv_is help; and test (count (commandline -opc)) -eq 2' -a 'run app list status top kill wait watch zygote python ping keygen bench help'
complete -c forksrv -n '__forksrv_in run' -s z -l zygote -x -a '(__forksrv_zygotes)' -d 'forked by a warm zygote'
complete -c forksrv -n '__forksrv_in run' -s E -l setenv -x -a '(__forksrv_variables)' -d 'set a variable'
complete -c forksrv -n '__forksrv_in run' -l unset-env -x -a '(__forksrv_variables)' -d 'take a variable away'
complete -c forksrv -n '__forksrv_in run' -l clean-env -d 'start from an empty environment, not the caller\'s'
complete -c forksrv -n '__forksrv_in run' -s C -l chdir -x -a '(__forksrv_folders)' -d 'work in DIR, not where the caller does'
complete -c forksrv -n '__forksrv_in run' -l fd -x -d 'the worker\'s N is the caller\'s M, as in N>&M of a shell'
complete -c forksrv -n '__forksrv_in run' -s t -l pty -d 'a terminal of its own for 0, 1 and 2, which stands in for the caller\'s'
complete -c forksrv -n '__forksrv_in run' -l umask -x -d 'not the caller\'s'
complete -c forksrv -n '__forksrv_in run' -l name -x -d 'a name for list, kill and wait'
complete -c forksrv -n '__forksrv_in run' -l process-group -d 'a process group of its own, not a session of its own'
complete -c forksrv -n '__forksrv_in run' -l timeout -x -d 'SIGTERM after so long: 500ms, 5s, 2min'
complete -c forksrv -n '__forksrv_in run' -l grace -x -d 'from that SIGTERM to SIGKILL (otherwise the server\'s, 5s)'
complete -c forksrv -n '__forksrv_in run' -l rlimit -x -a '(__forksrv_rlimits)' -d 'a resource limit, such as nofile=1K or core=0:infinity'
complete -c forksrv -n '__forksrv_in run' -l nice -x -d '-20 (first) to 19 (last)'
complete -c forksrv -n '__forksrv_in run' -l oom-score-adj -x -d '-1000 (never) to 1000 (first) when memory runs out'
complete -c forksrv -n '__forksrv_in run' -l memory-max -x -d 'of its cgroup: 64M, 1.5G'
complete -c forksrv -n '__forksrv_in run' -l tasks-max -x -d 'threads and processes in its cgroup'
complete -c forksrv -n '__forksrv_in run' -l cpu-weight -x -d '1 to 10000'
complete -c forksrv -n '__forksrv_in run' -l own-cgroup -d 'a cgroup even without limits: its descendants end with it'
complete -c forksrv -n '__forksrv_in run' -l no-new-privs -d 'set-user-ID programs have no effect'
complete -c forksrv -n '__forksrv_in run' -l detach -d 'print the worker\'s id and leave'
complete -c forksrv -n '__forksrv_in run' -l as-main -d 'for ExecStart= of a service: make the worker the unit\'s main process, a child of systemd, and leave'
complete -c forksrv -n '__forksrv_in run' -l json -d 'print its end as JSON on standard error'
complete -c forksrv -n '__forksrv_in run' -l json-file -r -F -d 'print its end as JSON to FILE'
complete -c forksrv -n '__forksrv_in run' -l no-private -d 'fail if there is no instance'
complete -c forksrv -n '__forksrv_in run' -l wait-for-slot -d 'where a limit of the instance is reached, wait until there is room, for SPAN at most'
complete -c forksrv -n '__forksrv_in run' -l address -r -F -d 'its control socket'
complete -c forksrv -n '__forksrv_in run' -l user -x -a '(__forksrv_instances)' -d 'the system instance of that user'
complete -c forksrv -n '__forksrv_in run' -l authkey-file -r -F -d 'the key'
complete -c forksrv -n '__forksrv_in run' -l private -d 'an instance of this command\'s own, which ends with it'
complete -c forksrv -n '__forksrv_in run' -s h -l help -d 'print this help'
complete -c forksrv -n '__forksrv_in app' -s s -l slice -x -a '(__forksrv_slices)' -d 'app (otherwise), background, session, their first letters, or NAME.slice'
complete -c forksrv -n '__forksrv_in app' -s a -l app-name -x -d 'the application\'s ID in the unit\'s name, not that of the entry or the program\'s file name'
complete -c forksrv -n '__forksrv_in app' -s u -l unit -x -d 'the whole name of the unit, NAME.scope'
complete -c forksrv -n '__forksrv_in app' -s d -l description -x -d 'of the unit, not the entry\'s name'
complete -c forksrv -n '__forksrv_in app' -s t -l type -x -d 'the only type there is'
complete -c forksrv -n '__forksrv_in app' -s z -l zygote -x -a '(__forksrv_zygotes)' -d 'forked by a warm zygote'
complete -c forksrv -n '__forksrv_in app' -s T -l terminal -d 'in a terminal, as with Terminal=true'
complete -c forksrv -n '__forksrv_in app' -s n -l dry-run -d 'print units and arguments, and start nothing'
complete -c forksrv -n '__forksrv_in app' -l address -r -F -d 'its control socket'
complete -c forksrv -n '__forksrv_in app' -l user -x -a '(__forksrv_instances)' -d 'the system instance of that user'
complete -c forksrv -n '__forksrv_in app' -l authkey-file -r -F -d 'the key'
complete -c forksrv -n '__forksrv_in app' -l private -d 'an instance of this command\'s own, which ends with it'
complete -c forksrv -n '__forksrv_in app' -s h -l help -d 'print this help'
complete -c forksrv -n '__forksrv_in list' -l running -d 'leave out those that ended'
complete -c forksrv -n '__forksrv_in list' -l json -d 'print an array of objects'
complete -c forksrv -n '__forksrv_in list' -l address -r -F -d 'its control socket'
complete -c forksrv -n '__forksrv_in list' -l user -x -a '(__forksrv_instances)' -d 'the system instance of that user'
complete -c forksrv -n '__forksrv_in list' -l authkey-file -r -F -d 'the key'
complete -c forksrv -n '__forksrv_in list' -l private -d 'an instance of this command\'s own, which ends with it'
complete -c forksrv -n '__forksrv_in list' -s h -l help -d 'print this help'
complete -c forksrv -n '__forksrv_in status' -l json -d 'print an object'
complete -c forksrv -n '__forksrv_in status' -l address -r -F -d 'its control socket'
complete -c forksrv -n '__forksrv_in status' -l user -x -a '(__forksrv_instances)' -d 'the system instance of that user'
complete -c forksrv -n '__forksrv_in status' -l authkey-file -r -F -d 'the key'
complete -c forksrv -n '__forksrv_in status' -l private -d 'an instance of this command\'s own, which ends with it'
complete -c forksrv -n '__forksrv_in status' -s h -l help -d 'print this help'
complete -c forksrv -n '__forksrv_in top' -s d -l delay -x -d 'time from one frame to the next (otherwise 1s)'
complete -c forksrv -n '__forksrv_in top' -s n -l count -x -d 'print N frames, one after the other, and leave'
complete -c forksrv -n '__forksrv_in top' -l batch -d 'print frames without an end, or as many as --count says'
complete -c forksrv -n '__forksrv_in top' -l json -d 'print a line of JSON for each'
complete -c forksrv -n '__forksrv_in top' -l sort -x -a '(__forksrv_orders)' -d 'cpu, memory, age, id or name (otherwise cpu)'
complete -c forksrv -n '__forksrv_in top' -l reverse -d 'the other way round'
complete -c forksrv -n '__forksrv_in top' -l address -r -F -d 'its control socket'
complete -c forksrv -n '__forksrv_in top' -l user -x -a '(__forksrv_instances)' -d 'the system instance of that user'
complete -c forksrv -n '__forksrv_in top' -l authkey-file -r -F -d 'the key'
complete -c forksrv -n '__forksrv_in top' -l private -d 'an instance of this command\'s own, which ends with it'
complete -c forksrv -n '__forksrv_in top' -s h -l help -d 'print this help'
complete -c forksrv -n '__forksrv_in kill' -s s -l signal -x -a '(__forksrv_signals)' -d 'TERM, KILL, 10, RTMIN+1, ... (otherwise TERM)'
complete -c forksrv -n '__forksrv_in kill' -l group -d 'the worker\'s whole process group'
complete -c forksrv -n '__forksrv_in kill' -l all -d 'everything in the worker\'s own cgroup'
complete -c forksrv -n '__forksrv_in kill' -l address -r -F -d 'its control socket'
complete -c forksrv -n '__forksrv_in kill' -l user -x -a '(__forksrv_instances)' -d 'the system instance of that user'
complete -c forksrv -n '__forksrv_in kill' -l authkey-file -r -F -d 'the key'
complete -c forksrv -n '__forksrv_in kill' -l private -d 'an instance of this command\'s own, which ends with it'
complete -c forksrv -n '__forksrv_in kill' -s h -l help -d 'print this help'
complete -c forksrv -n '__forksrv_in wait' -l timeout -x -d 'wait no longer than this, in all'
complete -c forksrv -n '__forksrv_in wait' -l json -d 'print each end as a line of JSON'
complete -c forksrv -n '__forksrv_in wait' -l address -r -F -d 'its control socket'
complete -c forksrv -n '__forksrv_in wait' -l user -x -a '(__forksrv_instances)' -d 'the system instance of that user'
complete -c forksrv -n '__forksrv_in wait' -l authkey-file -r -F -d 'the key'
complete -c forksrv -n '__forksrv_in wait' -l private -d 'an instance of this command\'s own, which ends with it'
complete -c forksrv -n '__forksrv_in wait' -s h -l help -d 'print this help'
complete -c forksrv -n '__forksrv_in watch' -s n -l count -x -d 'leave after N events'
complete -c forksrv -n '__forksrv_in watch' -l json -d 'print a line of JSON for each'
complete -c forksrv -n '__forksrv_in watch' -l address -r -F -d 'its control socket'
complete -c forksrv -n '__forksrv_in watch' -l user -x -a '(__forksrv_instances)' -d 'the system instance of that user'
complete -c forksrv -n '__forksrv_in watch' -l authkey-file -r -F -d 'the key'
complete -c forksrv -n '__forksrv_in watch' -l private -d 'an instance of this command\'s own, which ends with it'
complete -c forksrv -n '__forksrv_in watch' -s h -l help -d 'print this help'
complete -c forksrv -n '__forksrv_in zygote' -l json -d 'list and show: print an array of objects'
complete -c forksrv -n '__forksrv_in zygote' -l address -r -F -d 'its control socket'
complete -c forksrv -n '__forksrv_in zygote' -l user -x -a '(__forksrv_instances)' -d 'the system instance of that user'
complete -c forksrv -n '__forksrv_in zygote' -l authkey-file -r -F -d 'the key'
complete -c forksrv -n '__forksrv_in zygote' -l private -d 'an instance of this command\'s own, which ends with it'
complete -c forksrv -n '__forksrv_in zygote' -s h -l help -d 'print this help'
complete -c forksrv -n '__forksrv_in python' -s z -l zygote -x -a '(__forksrv_zygotes)' -d 'the zygote (otherwise $FORKSRV_ZYGOTE, then "python")'
complete -c forksrv -n '__forksrv_in python' -l private -d 'an instance of this program\'s own ($FORKSRV_PRIVATE)'
complete -c forksrv -n '__forksrv_in python' -l fallback -d 'use multiprocessing\'s own fork server where no zygote can be had'
complete -c forksrv -n '__forksrv_in python' -l spares -x -d 'processes that are kept forked ahead (otherwise 4)'
complete -c forksrv -n '__forksrv_in python' -l user -x -a '(__forksrv_instances)' -d 'the system instance of that user'
complete -c forksrv -n '__forksrv_in python' -l address -r -F -d 'the instance\'s control socket'
complete -c forksrv -n '__forksrv_in python' -l authkey-file -r -F -d 'its key'
complete -c forksrv -n '__forksrv_in python' -s h -l help -d 'print this help'
complete -c forksrv -n '__forksrv_in ping' -s c -l count -x -d 'how many (otherwise 4)'
complete -c forksrv -n '__forksrv_in ping' -s i -l interval -x -d 'time between two (otherwise 0)'
complete -c forksrv -n '__forksrv_in ping' -l json -d 'print an object, times in microseconds'
complete -c forksrv -n '__forksrv_in ping' -l address -r -F -d 'its control socket'
complete -c forksrv -n '__forksrv_in ping' -l user -x -a '(__forksrv_instances)' -d 'the system instance of that user'
complete -c forksrv -n '__forksrv_in ping' -l authkey-file -r -F -d 'the key'
complete -c forksrv -n '__forksrv_in ping' -l private -d 'an instance of this command\'s own, which ends with it'
complete -c forksrv -n '__forksrv_in ping' -s h -l help -d 'print this help'
complete -c forksrv -n '__forksrv_in keygen' -l system -x -a '(__forksrv_users)' -d 'for forksrv@NAME.service: in /run/credstore, for root only'
complete -c forksrv -n '__forksrv_in keygen' -l user -x -a '(__forksrv_users)' -d 'the same'
complete -c forksrv -n '__forksrv_in keygen' -l session -d 'for forksrv.service of your session: in $XDG_RUNTIME_DIR/credstore'
complete -c forksrv -n '__forksrv_in keygen' -l owner -x -a '(__forksrv_users)' -d 'make FILE this user\'s, not the caller\'s'
complete -c forksrv -n '__forksrv_in keygen' -l if-missing -d 'be content with a key that is there in any credential store'
complete -c forksrv -n '__forksrv_in keygen' -l force -d 'replace a key that is there'
complete -c forksrv -n '__forksrv_in keygen' -s h -l help -d 'print this help'
complete -c forksrv -n '__forksrv_in bench' -l totals -x -d 'processes of one measurement (otherwise 32,128,384,1024,2048)'
complete -c forksrv -n '__forksrv_in bench' -l active -x -d 'how many of them at a time (otherwise 1,2,4,8)'
complete -c forksrv -n '__forksrv_in bench' -l methods -x -a '(__forksrv_methods)' -d 'posix-spawn, fork-exec, session, session-started, connection'
complete -c forksrv -n '__forksrv_in bench' -l repeat -x -d 'measurements of each (otherwise 3)'
complete -c forksrv -n '__forksrv_in bench' -l json -d 'print an array of objects'
complete -c forksrv -n '__forksrv_in bench' -l csv -d 'print comma-separated values'
complete -c forksrv -n '__forksrv_in bench' -l address -r -F -d 'its control socket'
complete -c forksrv -n '__forksrv_in bench' -l user -x -a '(__forksrv_instances)' -d 'the system instance of that user'
complete -c forksrv -n '__forksrv_in bench' -l authkey-file -r -F -d 'the key'
complete -c forksrv -n '__forksrv_in bench' -l private -d 'an instance of this command\'s own, which ends with it'
complete -c forksrv -n '__forksrv_in bench' -s h -l help -d 'print this help'
# ---- written by completions/update: end ----

complete -c forksrv -n __forksrv_no_subcommand -s h -l help -d 'print this help'
complete -c forksrv -n __forksrv_no_subcommand -s V -l version -d 'print the version'
complete -c forksrv -n '__forksrv_operand run bench; and not __forksrv_of_zygote' -a '(__forksrv_program)'
complete -c forksrv -n '__forksrv_operand run app; and __forksrv_of_zygote' -F
complete -c forksrv -n '__forksrv_operand app; and not __forksrv_first_operand >/dev/null; and not __forksrv_of_zygote' -a '(__forksrv_apps)'
complete -c forksrv -n '__forksrv_operand app; and not __forksrv_of_entry; and not __forksrv_of_zygote' -a '(__forksrv_program)'
complete -c forksrv -n '__forksrv_operand app; and __forksrv_of_entry' -F
complete -c forksrv -n '__forksrv_operand python keygen' -F
complete -c forksrv -n '__forksrv_operand kill' -k -a '(__forksrv_workers)'
complete -c forksrv -n '__forksrv_operand wait' -k -a '(__forksrv_ended)'
complete -c forksrv -n '__forksrv_operand zygote; and not __forksrv_first_operand >/dev/null' -a 'list show warm stop reload'
complete -c forksrv -n '__forksrv_operand zygote; and __forksrv_first_operand >/dev/null; and not contains list (commandline -opc)' -a '(__forksrv_zygotes)'
