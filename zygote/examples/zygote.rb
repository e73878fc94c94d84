#!/usr/bin/ruby
# SPDX-License-Identifier: LGPL-2.1-or-later
# A zygote in Ruby, written from forksrv-zygote(7) with nothing but Ruby's own library: Preload= is a list of what is required once, and a
# client's arguments are what ruby itself takes: SCRIPT ARG..., -e CODE ARG..., or - for code from the standard input. It is an example of the
# protocol in a language that has no library for it; ruby.conf declares it.
#
# It refuses, with a clear error: Module=, other options of ruby, derived zygotes, and processes of Python's multiprocessing. It keeps no spares,
# whatever Spares= says. It needs Ruby 3.1, 64 bits, glibc 2.36, Linux 5.11, and a hard limit of 2048 open files. Of a process that was executed
# its workers do not have: an encoding by their own locale, RUBYOPT and RUBYLIB (Environment= has them for all), and DATA.
# Threads of C libraries, which a fork does not have, it does not look for.
require "fiddle"
require "socket"

# One name only, so that none of a program is in its way.
module ForksrvZygote
  # What Ruby does not have itself, of the C library.
  module C
    INT, LONG, POINTER = Fiddle::TYPE_INT, Fiddle::TYPE_LONG, Fiddle::TYPE_VOIDP
    LIBRARY = Fiddle.dlopen(nil)
    # The caller learns of an error as from Ruby's own calls.
    def self.function(name, *types)
      call = Fiddle::Function.new(LIBRARY[name], types, INT)
      define_singleton_method(name) do |*args|
        result = call.call(*args)
        result == -1 ? raise(SystemCallError.new(nil, Fiddle.last_error)) : result
      end
    end
    function "close_range", INT, INT, INT
    function "dup2", INT, INT
    function "pidfd_open", INT, INT
    function "prctl", INT, LONG, LONG, LONG, LONG
    function "pthread_sigmask", INT, POINTER, POINTER
    function "wait4", INT, POINTER, INT, POINTER
    function "waitid", INT, INT, POINTER, INT
    SIGNAL = Fiddle::Function.new(LIBRARY["signal"], [INT, LONG], LONG) # -1, SIG_ERR, is a pointer
    NO_NEW_PRIVS, CLOEXEC, SETMASK, P_ALL, TIOCSCTTY = 38, 4, 2, 0, 0x540e
    WITHOUT_REAPING = 0x1000000 | 4 | 1 # WNOWAIT, WEXITED, WNOHANG
  end

  READY, UNREADY, FORKED, UNFORKED, ENDED, REAPED = *0x201..0x206
  VERSION, SOFTWARE, PID, ERRNO, STAGE, TEXT = 0x01, 0x02, 0x06, 0x08, 0x09, 0x0a
  ARGV_, ENVIRON, CWD, FDMAP, UMASK, RLIMITS, NICE, FLAGS, BLOCKED, IGNORED = 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x19, 0x1a, 0x1b
  END_, RUSAGE, SPARES, KIND, LARGE, CGROUP, GATE = 0x24, 0x25, 0x2c, 0x2d, 0x2e, 0x2f, 0x32
  PROCESS_GROUP, NO_NEW_PRIVS, CONTROLLING_TERMINAL = 2, 4, 32 # of FLAGS
  STAGES = {request: 1, cgroup: 3, clone: 4, signals: 5, session: 6, fds: 7, cwd: 8, rlimit: 9, nice: 10, privileges: 12, zygote: 14}
  # A worker's files have numbers below this.
  NUMBERS = 1024

  # ---- what is said ----

  module Speech
    module_function

    # Numbers are u32, arrays of numbers u64, strings have a NUL behind them.
    def attribute(number, value)
      case value
      when Integer then value = [value].pack("N")
      when Array then value = value.pack("Q>*")
      when String then value = value.b.tr("\0", "?").then { |s| s.bytesize < 4096 ? s : s.byteslice(-4095, 4095) } + "\0"
      end
      [number, 0, value.bytesize].pack("nnN") + value + "\0" * (-value.bytesize % 4)
    end

    def send(socket, type, serial = 0, fd = nil, **values)
      rights = fd ? [Socket::AncillaryData.unix_rights(fd)] : []
      attributes = values.compact.map { |name, value| attribute(ForksrvZygote.const_get(name), value) }
      socket.sendmsg([type, rights.size, serial].pack("nnN") + attributes.join, 0, nil, *rights)
    end
  end

  # FORK as it came: attributes, whose values are taken apart by who needs them, and files. It is well-formed: the server's word is trusted.
  class Request
    attr_reader :serial, :fds

    # nil where the server is done with us.
    def self.receive(socket)
      data, _, _, *controls = socket.recvmsg(33 * 1024, 0, 4096, scm_rights: true)
      data.to_s.empty? ? nil : new(data, controls.flat_map { |control| control.unix_rights || [] })
    end

    def initialize(data, fds)
      _, _, @serial = data.unpack("nnN") # nothing but FORK is said to a zygote
      @fds, @values, at = fds, {}, 8
      while at < data.bytesize
        number, _, size = data.byteslice(at, 8).unpack("nnN")
        @values[number & 0x7fff] = data.byteslice(at + 8, size)
        at += 8 + (size + 3 & ~3)
      end
    end

    def [](number) = @values[number]
    def number(number, otherwise = 0) = @values[number]&.unpack1(@values[number].bytesize == 8 ? "Q>" : "N") || otherwise
    def strings(number) = (@values[number] || "").split("\0", -1)[..-2] || []
    def rows(number, size, format) = (@values[number] || "").scan(/.{#{size}}/mn).map { |row| row.unpack(format) }
    def signals(number) = (1..64).select { |n| number(number)[n - 1] == 1 }

    # One that does not fit into a datagram is in a file.
    def whole
      return self unless self[LARGE]
      file = @fds[number(LARGE)]
      Request.new(file.pread(file.stat.size, 0), @fds)
    end
  end

  # ---- what a child becomes ----

  class Failure < StandardError
    attr_reader :stage, :errno

    def initialize(stage, error, text = nil)
      @stage, @errno = stage, error::Errno
      super("#{stage}: #{text || error.new.message}")
    end
  end

  class Child
    def initialize(socket, request, limit)
      @socket, @request, @limit = socket, request, limit
    end

    # Returns the arguments; a request that cannot be met ends here.
    def become
      argv = apply_or_tell
      Speech.send(@socket, FORKED, @request.serial, @pidfd, PID: Process.pid, SPARES: 0)
      [@socket, @pidfd].each(&:close)
      block(@request.signals(BLOCKED))
      exit!(125) if @gate && @gate.read(1).nil? # whoever should have opened it is gone
      @gate&.close
      argv
    rescue SystemCallError # the server is gone, or has given this request up: it must not begin
      exit!(127)
    end

    private

    def at(stage, text = nil)
      yield
    rescue SystemCallError => e
      raise Failure.new(stage, e.class, text && "#{e.class.new.message}: #{text}")
    end

    def apply_or_tell
      @request = @request.whole
      raise Failure.new(:zygote, Errno::ENOTSUP, "this zygote forks programs only") unless @request.number(KIND) == 0
      apply
    rescue Failure => e
      Speech.send(@socket, UNFORKED, @request.serial, STAGE: STAGES[e.stage], ERRNO: e.errno, TEXT: e.message)
      exit!(127)
    end

    # In the order of the page.
    def apply
      trap("CHLD", "DEFAULT")
      at(:signals) { @request.signals(IGNORED).each { |n| raise Errno::EINVAL if C::SIGNAL.call(n, 1) == -1 } }
      at(:session) { @request.number(FLAGS) & PROCESS_GROUP == 0 ? Process.setsid : Process.setpgid(0, 0) }
      at(:cgroup) { @request.fds[@request.number(CGROUP)].syswrite("0") } if @request[CGROUP]
      set_fds
      at(:session) { STDIN.ioctl(C::TIOCSCTTY, 0) } if @request.number(FLAGS) & CONTROLLING_TERMINAL != 0
      cwd = @request.strings(CWD).first || "/"
      at(:cwd, cwd) { Dir.chdir(cwd) }
      File.umask(@request.number(UMASK, 0o22))
      set_limits
      at(:privileges) { C.prctl(C::NO_NEW_PRIVS, 1, 0, 0, 0) } if @request.number(FLAGS) & NO_NEW_PRIVS != 0
      argv = @request.strings(ARGV_)
      raise Failure.new(:request, Errno::EINVAL, "no ARGV") if argv.empty?
      set_environ
      argv.each { |word| word.force_encoding(Encoding.default_external) }
    end

    # None of the files that came is below NUMBERS, and what is there is nobody's: none is in the way of another.
    def set_fds
      pairs = @request.rows(FDMAP, 8, "NN")
      numbers = pairs.map(&:last)
      wrong = pairs.any? { |index, number| index >= @request.fds.size || number >= NUMBERS } || numbers.uniq!
      raise Failure.new(:request, Errno::EINVAL, "FDMAP names a file that was not sent, or a number twice or over 1023") if wrong
      pairs.each { |index, number| at(:fds) { C.dup2(@request.fds[index].fileno, number) } }
      null = at(:fds) { File.open("/dev/null", "r+") }
      ([0, 1, 2] - numbers).each { |number| at(:fds) { C.dup2(null.fileno, number) } }
      @gate = at(:request) { @request.fds[@request.number(GATE)] or raise Errno::EINVAL } if @request[GATE]
      @pidfd = at(:fds) { IO.for_fd(C.pidfd_open(Process.pid, 0)) }
      at(:fds) { close_others(numbers | [0, 1, 2]) }
    end

    def set_limits
      Process.setrlimit(:NOFILE, *@limit) # the zygote's own is higher
      @request.rows(RLIMITS, 24, "NNQ>Q>").each { |which, _, soft, hard| at(:rlimit) { Process.setrlimit(which, soft, hard) } }
      nice = [@request.number(NICE)].pack("L").unpack1("l")
      at(:nice) { Process.setpriority(Process::PRIO_PROCESS, 0, nice) } if @request[NICE]
    end

    def set_environ
      ENV.clear
      @request.strings(ENVIRON).each do |variable|
        name, equals, value = variable.partition("=")
        raise Failure.new(:request, Errno::EINVAL, "a variable is not NAME=VALUE") if name.empty? || equals.empty?
        ENV[name] = value
      end
    end

    # Objects of what was preloaded first, so that none of them closes a number again that is somebody else's by then.
    def close_others(numbers)
      kept = [STDIN, STDOUT, STDERR, @socket, @pidfd, @gate].compact
      ObjectSpace.each_object(IO) { |io| io.close unless io.closed? || kept.include?(io) }
      [-1, *numbers.sort, NUMBERS].each_cons(2) { |low, high| C.close_range(low + 1, high - 1, 0) if high - low > 1 }
      Dir.children("/proc/self/fd").map(&:to_i).each do |fd|
        C.close_range(fd, fd, 0) unless fd < NUMBERS || kept.map(&:fileno).include?(fd) || reserved?(fd)
      end
    end

    # Ruby's own, without which it does not work. All of them are close-on-exec.
    def reserved?(fd)
      IO.for_fd(fd, autoclose: false).nil?
    rescue ArgumentError, SystemCallError => e
      e.is_a?(ArgumentError)
    end

    def block(signals)
      C.pthread_sigmask(C::SETMASK, [signals.sum { |n| 1 << n - 1 }].pack("Q").ljust(128, "\0"), nil)
    end
  end

  # ---- the zygote ----

  class Zygote
    # Ruby opens files for itself, at the lowest numbers that are free, and writes to them whatever a worker has put there. So all numbers that
    # a worker may ask for are taken, by /dev/null, before it starts: it is executed a second time.
    def self.take_numbers
      soft, hard = Process.getrlimit(:NOFILE)
      abort "zygote.rb: forksrvd starts this program, as forksrv.zygote(5) declares it" unless ENV["FORKSRV_ZYGOTE_NAME"]
      abort "zygote.rb: it needs a hard limit of 2048 open files, and has #{hard}" if hard < 2048
      return ENV.delete("ZYGOTE_RB_NOFILE").to_i if ENV["ZYGOTE_RB_NOFILE"]
      Process.setrlimit(:NOFILE, [hard, 4096].min, hard)
      ENV["ZYGOTE_RB_NOFILE"] = soft.to_s
      command = File.read("/proc/self/cmdline").split("\0")
      # Ruby's own files are among the numbers, so exec itself takes them: it stops the thread that uses these files, and then redirects.
      exec(["/proc/self/exe", command[0]], *command[1..], (4...NUMBERS).to_h { |n| [n, 0] }.merge(close_others: false))
    end

    def initialize
      @limit = [Zygote.take_numbers, Process.getrlimit(:NOFILE)[1]]
      given = UNIXSocket.for_fd(3)
      @socket = given.dup
      given.close
      C.dup2(0, 3)
      C.close_range(3, NUMBERS - 1, C::CLOEXEC) # for what a preload executes
      @environ = ENV.keys.grep(/\AFORKSRV_ZYGOTE_/).to_h { |name| [name.delete_prefix("FORKSRV_ZYGOTE_"), ENV.delete(name)] }
      @troubles, @pid = [], Process.pid
    end

    # Returns in a worker only, with its arguments.
    def run
      preload
      @wakeup, waker = IO.pipe
      trap("CHLD") { waker.write_nonblock(".", exception: false) }
      ObjectSpace.each_object(IO) { |io| io.flush unless io.closed? rescue nil } # or every child would write it again
      Process.respond_to?(:warmup) ? Process.warmup : GC.start
      Speech.send(@socket, READY, VERSION: 1, SOFTWARE: "Ruby #{RUBY_VERSION}", TEXT: @troubles.empty? ? nil : @troubles.join("\n"))
      loop do
        reap
        ready, = IO.select([@socket, @wakeup])
        @wakeup.read_nonblock(4096, exception: false) if ready.include?(@wakeup)
        child = serve if ready.include?(@socket)
        return child.become if child
      end
    rescue Errno::EPIPE, Errno::ECONNRESET
      exit!(0) # forksrvd is gone
    end

    private

    def unready(text)
      Speech.send(@socket, UNREADY, ERRNO: Errno::EIO::Errno, TEXT: text)
      exit!(1)
    end

    def trouble(text)
      unready(text) unless @environ["ON_PRELOAD_ERROR"] == "warn"
      @troubles << text
      warn("zygote.rb: #{text}")
    end

    def preload
      unready("Module= has no meaning for zygote.rb") unless @environ["MODULE"].empty?
      @environ["PRELOAD"].split("\n").each do |name|
        require name
      rescue Exception => e # exit as well
        exit!(1) if Process.pid != @pid
        trouble("Preload=#{name}:\n#{Zygote.without_us(e).full_message(highlight: false, order: :top).chomp}")
      end
      exit!(1) if Process.pid != @pid # it has forked, and this is the child
      (Thread.list - [Thread.main]).each { |thread| trouble("preloading has made it unsafe to fork: #{thread.inspect} is alive") }
      trouble("preloading has made it unsafe to fork: a child process was left behind") if ended != nil
    end

    # Returns the child in the child.
    def serve
      request = Request.receive(@socket) or exit!(0)
      return Child.new(@socket, request, @limit) unless fork
      request.fds.each(&:close)
      nil
    rescue SystemCallError => e
      raise if request.nil?
      Speech.send(@socket, UNFORKED, request.serial, STAGE: STAGES[:clone], ERRNO: e.errno, TEXT: "clone: #{e.message}")
      nil
    end

    # A child that has ended, not reaped yet: pid, how, and exit code or signal. pid 0 if none has, nil if there is none.
    def ended
      info = "\0" * 128
      C.waitid(C::P_ALL, 0, info, C::WITHOUT_REAPING)
      pid, _, status = info.unpack("@16l3")
      [pid, info.unpack1("@8l"), status]
    rescue Errno::ECHILD
      nil
    end

    # An end is told before the child is reaped: should we end in between, the server still finds it. What it has used comes after.
    def reap
      while (pid, kind, status = ended) && pid != 0
        Speech.send(@socket, ENDED, PID: pid, END_: [kind << 32 | status, 0]) # the kinds are those of waitid(2)
        usage = "\0" * 144
        C.wait4(pid, nil, 0, usage)
        used = usage.unpack("q18") # two struct timeval, and what getrusage(2) lists, in its order
        times = used.first(4).each_slice(2).map { |seconds, usec| seconds * 1_000_000 + usec }
        Speech.send(@socket, REAPED, PID: pid, RUSAGE: times + used.values_at(4, 8, 9, 11, 12, 16, 17))
      end
    end

    # An exception as a program of its own would show it.
    def self.without_us(error)
      error.set_backtrace(error.backtrace.reject { |line| line.start_with?(__FILE__ + ":") }) if error.backtrace
      without_us(error.cause) if error.cause
      error
    end
  end

  # ---- a worker ----

  # Ruby itself looks after what it raises: the message, the exit code or the signal, and at_exit.
  def self.work(argv)
    STDOUT.sync = true if STDOUT.tty?
    first = argv.shift
    code = argv.shift if first == "-e"
    abort "zygote.rb: no code specified for -e" if first == "-e" && code.nil?
    abort "zygote.rb: #{first}: options are for Interpreter=, but for -e" if first.start_with?("-") && !["-", "-e"].include?(first)
    ARGV.replace(argv)
    $0 = first
    return eval(code || STDIN.read, TOPLEVEL_BINDING, first) if first.start_with?("-")
    abort "zygote.rb: No such file or directory -- #{first}" unless File.file?(first)
    RubyVM::InstructionSequence.compile_file(first).eval # and not load: then __FILE__ is as it was given, and the frame is <main>
  rescue Exception => e
    Zygote.without_us(e)
    raise unless e.is_a?(SyntaxError) && e.backtrace.empty?
    abort e.respond_to?(:detailed_message) ? "#{first}: #{e.detailed_message(highlight: STDERR.tty?)}" : e.message # since Ruby 3.2
  end
end

ForksrvZygote.work(ForksrvZygote::Zygote.new.run)
