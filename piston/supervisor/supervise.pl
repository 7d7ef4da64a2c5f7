#!/usr/bin/env perl
# Runs `compile` or `run` of a package by CodeCoach's instructions and reports on standard output, all of it in ASCII.
#
#   supervise.pl SCRIPT [ARGUMENT...]      called by start.sh, in the folder of the program
#
# Instructions:  .codecoach/job           lines of a name, a space and a value; the names are those of %job
#                .codecoach/stdin         what the program reads
#                .codecoach/environment   NAME=value, each ended by NUL
#                .codecoach/home/...      files for the program's home
# Report, a line each, led by the job's token, so that a program's own output cannot be taken for it:
#                o BASE64                 printed on stdout       e BASE64    printed on stderr
#                f BASE64 SIZE            name of a file it left  d BASE64    a piece of that file
#                x CODE SIGNAL WALL_MS CPU_MS MEMORY_BYTES BREACH LEFT_OUT    the end; - for what there is none of
#
# Nothing comes in while the program runs: Piston dies of stdin that is sent to a job that just ends. What stops a
# program is a file in /dev/shm, which all jobs share; a second job, with `raise` among its instructions, makes it.
#
# Perl, because a shell can tell neither exit code 137 from signal 9 nor the number of bytes it passes on, and because every
# Debian has perl-base. Without its modules POSIX and Fcntl, which take longer to load than all the rest.
use strict;
use warnings;
use Config;

my $FOLDER = '.codecoach';
my $SHARED = '/dev/shm';
my $LOOK_S = 0.1;         # between two looks for the file that stops
my $FLUSH_S = 0.03;       # between two reports of output: many small writes make few lines
my $PIECE = 32_768;
my $DRAIN_S = 1;
my $RAISED_S = 2;
my $DEPTH = 8;
my $ENTRIES = 10_000;
my $DAY_S = 86_400;
my %LITTER = map { $_ => 1 } qw(.cache .config .local .aws .npm __pycache__);
my $WNOHANG = 1;
my %GETRUSAGE = (x86_64 => 98, aarch64 => 165);

my ($script, @arguments) = @ARGV;
my $compiling = $script =~ m{(?:^|/)compile$};
my %job = (token => '', stop => '', raise => '', timeout_ms => 10_000, compile_timeout_ms => 60_000,
    output_bytes => 65_536, files => 0, file_bytes => 0);
my %breach_codes = (timeout => 124, output => 1, stopped => 130);

# Seconds, monotonic, in steps of 0.01: Perl's own clock has whole seconds.
sub now {
    my ($uptime) = split / /, slurp('/proc/uptime');
    return $uptime;
}

sub slurp {
    my ($path) = @_;
    open(my $file, '<:raw', $path) or return '';
    local $/;
    return scalar(<$file>) // '';
}

sub base64 {
    my ($bytes) = @_;
    my $text = pack('u', $bytes);
    $text =~ s/^.//mg;
    $text =~ tr/\n//d;
    $text =~ tr{` -_}{AA-Za-z0-9+/};
    my $missing = (3 - length($bytes) % 3) % 3;
    substr($text, -$missing) = '=' x $missing if $missing;
    return $text;
}

sub report {
    my $line = join(' ', $job{token}, @_) . "\n";
    my $done = 0;
    while ($done < length $line) {
        my $written = syswrite(STDOUT, $line, length($line) - $done, $done);
        return unless defined $written || $!{EINTR};
        $done += $written // 0;
    }
}

# --- instructions

sub read_instructions {
    for my $line (split /\n/, slurp("$FOLDER/job")) {
        my ($name, $value) = split / /, $line, 2;
        $job{$name} = $value if defined $value && exists $job{$name};
    }
    die "malformed instructions\n" if "$job{token}$job{stop}$job{raise}" =~ /[^\w-]/;
}

sub entries {
    my ($folder) = @_;
    opendir(my $handle, $folder) or return ();
    return sort grep { $_ ne '.' && $_ ne '..' } readdir $handle;
}

sub remove {
    my ($path) = @_;
    if (-d $path && !-l $path) {
        remove("$path/$_") for entries($path);
        rmdir $path;
        return;
    }
    unlink $path;
}

sub copy_home {
    my ($from, $to) = @_;
    mkdir $to;
    for my $name (entries($from)) {
        if (-d "$from/$name") { copy_home("$from/$name", "$to/$name"); next }
        open(my $file, '>:raw', "$to/$name") or next;
        syswrite($file, slurp("$from/$name"));
    }
}

# Gives every file one and the same age: whatever is found with another one afterwards is new or changed.
sub stamp {
    my ($folder, $time, $depth) = @_;
    for my $path (map { "$folder/$_" } entries($folder)) {
        next if !lstat($path) || -l _;
        utime($time, $time, $path) if -f _;
        stamp($path, $time, $depth + 1) if -d $path && $depth < $DEPTH;
    }
}

# --- the program

sub start {
    my ($stdin, $stdout, $stderr) = @_;
    my $pid = fork() // die "no process can be started: $!\n";
    return $pid if $pid;
    $SIG{$_} = 'DEFAULT' for qw(PIPE CHLD HUP INT TERM);
    setpgrp(0, 0);    # what the program does to its process group does not reach the supervisor
    open(STDIN, '<&', $stdin);
    open(STDOUT, '>&', $stdout);
    open(STDERR, '>&', $stderr);    # all other descriptors close by themselves
    $ENV{CODECOACH_SUPERVISED} = 1;
    exec('/bin/bash', $script, @arguments) or kill('KILL', $$);
}

# Ends every process of the job. Only Piston sets this variable, and it gives each job a user or a namespace of its own.
sub end_all {
    my ($pid) = @_;
    kill('KILL', defined $ENV{PISTON_LANGUAGE} ? -1 : -$pid);
}

sub largest_process_bytes {
    my ($architecture) = split /-/, $Config{archname};
    my $number = $GETRUSAGE{$architecture} or return '-';
    my $usage = "\0" x 144;
    return '-' if syscall($number, -1, $usage) != 0;
    return (unpack 'q*', $usage)[4] * 1024;
}

# One stream of the program: bounded, and passed on a few times a second.
sub take {
    my ($stream) = @_;
    my $got = sysread($stream->{pipe}, my $bytes, 65_536);
    if (!$got) {
        return 1 if !defined $got && $!{EINTR};
        $stream->{open} = 0;
        return 1;
    }
    my $fits = $got <= $stream->{room};
    $bytes = substr($bytes, 0, $stream->{room}) unless $fits;
    $stream->{room} -= length $bytes;
    $stream->{waiting} .= $bytes;
    return $fits;
}

sub pass_on {
    my ($stream) = @_;
    while (length $stream->{waiting}) {
        report($stream->{kind}, base64(substr($stream->{waiting}, 0, $PIECE, '')));
    }
    $stream->{passed_on} = now();
}

sub watch {
    my ($pid, $woken, $timeout_s, @streams) = @_;
    my ($began, $looked, $breach, $status, $drained) = (now(), -1, '-', undef, undef);
    my $end = sub { $breach = $_[0] if $breach eq '-' && !defined $status; end_all($pid) };
    while (!defined $status || grep { $_->{open} } @streams) {
        my ($ready, $time) = ('', now());
        vec($ready, fileno($_->{pipe}), 1) = 1 for grep { $_->{open} } @streams;
        vec($ready, fileno($woken), 1) = 1;
        my $pause = (grep { length $_->{waiting} } @streams) ? $FLUSH_S : $LOOK_S;
        if (select($ready, undef, undef, $pause) > 0) {
            sysread($woken, my $ignored, 512) if vec($ready, fileno($woken), 1);
            for my $stream (grep { $_->{open} && vec($ready, fileno($_->{pipe}), 1) } @streams) {
                $end->('output') unless take($stream);
            }
        }
        $time = now();
        for my $stream (@streams) { pass_on($stream) if $time - $stream->{passed_on} >= $FLUSH_S }
        if (!defined $status) {
            $end->('timeout') if $time - $began >= $timeout_s;
            if ($time - $looked >= $LOOK_S) {
                $looked = $time;
                $end->('stopped') if $job{stop} ne '' && -e "$SHARED/$job{stop}";
            }
            if (waitpid($pid, $WNOHANG) == $pid) {
                ($status, $drained) = ($?, $time + $DRAIN_S);
                end_all($pid);    # the program is over with its first process, as in a terminal
            }
        }
        last if defined $drained && $time > $drained;
    }
    pass_on($_) for @streams;
    return ($status, $breach, now() - $began);
}

# --- what the program left

sub left_files {
    my ($folder, $time, $depth, $seen) = @_;
    my @found;
    for my $name (entries($folder)) {
        next if $LITTER{$name} || $$seen++ > $ENTRIES;
        my $path = $folder eq '.' ? $name : "$folder/$name";
        my ($links, $changed) = (lstat $path)[3, 9];
        next unless defined $links;
        my ($is_link, $is_folder, $is_file) = (-l _, -d _, -f _);
        if ($is_folder) {
            push @found, $depth < $DEPTH ? left_files($path, $time, $depth + 1, $seen) : [$path, 0];
        } elsif ($is_link || !$is_file || $links != 1) {
            push @found, [$path, 0];
        } elsif ($changed != $time) {
            push @found, [$path, 1];
        }
    }
    return @found;
}

# Called when every process of the job but this one is dead. Returns how many files were left out.
sub report_files {
    my ($time) = @_;
    my ($room, $count, $left_out, $seen) = ($job{file_bytes}, 0, 0, 0);
    for my $found (sort { $a->[0] cmp $b->[0] } left_files('.', $time, 0, \$seen)) {
        my ($path, $usable) = @$found;
        my $file;
        if (!$usable || $count >= $job{files} || !open($file, '<:raw', $path) || -s $file > $room) {
            $left_out++;
            next;
        }
        my $size = -s $file;
        $room -= $size;
        $count++;
        report('f', base64($path), $size);
        while (sysread($file, my $piece, $PIECE)) { report('d', base64($piece)) }
    }
    return $left_out + ($seen > $ENTRIES ? 1 : 0);
}

# --- one job

# Makes the file that stops another job, for long enough to be seen.
sub raise_and_exit {
    if (!$compiling && open(my $file, '>', "$SHARED/$job{raise}")) {
        sleep $RAISED_S;
        unlink "$SHARED/$job{raise}";
    }
    exit 0;
}

sub prepare_run {
    my $stdin;
    open($stdin, '<', "$FOLDER/stdin") or open($stdin, '<', '/dev/null') or die "no stdin: $!\n";
    copy_home("$FOLDER/home", $ENV{HOME} // '/tmp') if -d "$FOLDER/home";
    for my $pair (split /\0/, slurp("$FOLDER/environment")) {
        my ($name, $value) = split /=/, $pair, 2;
        $ENV{$name} = $value if defined $value;
    }
    remove($FOLDER);    # neither a secret nor the token stays where the program looks first
    return $stdin;
}

read_instructions();
raise_and_exit() if $job{raise} ne '';
$SIG{$_} = 'IGNORE' for qw(PIPE HUP INT TERM);
pipe(my $woken, my $wake) or die "no pipe: $!\n";
$SIG{CHLD} = sub { syswrite($wake, '.') };
my ($stdin, $stamp) = (undef, time() - $DAY_S);
if ($compiling) { open($stdin, '<', '/dev/null') or die "no stdin: $!\n" }
else {
    $stdin = prepare_run();
    stamp('.', $stamp, 0);
}
pipe(my $out, my $stdout) or die "no pipe: $!\n";
pipe(my $err, my $stderr) or die "no pipe: $!\n";
my $pid = start($stdin, $stdout, $stderr);
close $_ for $stdout, $stderr, $stdin;
my @streams = map { { kind => $_->[0], pipe => $_->[1], room => $job{output_bytes}, waiting => '', open => 1, passed_on => -1 } }
    (['o', $out], ['e', $err]);
my $timeout_ms = $compiling ? $job{compile_timeout_ms} : $job{timeout_ms};
my ($status, $breach, $wall_s) = watch($pid, $woken, $timeout_ms / 1000, @streams);
my (undef, undef, $user, $system) = times;
my ($code, $signal) = ($status & 127) ? ('-', $status & 127) : ($status >> 8, '-');
my $left_out = $compiling ? 0 : report_files($stamp);
report('x', $code, $signal, int($wall_s * 1000), int(($user + $system) * 1000), largest_process_bytes(), $breach, $left_out);
exit($breach_codes{$breach} // ($signal eq '-' ? $code : 128 + $signal));
