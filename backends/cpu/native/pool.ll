; Threads that live on and run grids together with whoever launches them. pool.py keeps the memory and starts the threads.
;
; A region is open while the generation is odd. Who helps says so (active), looks again whether the same region is still open,
; takes a seat, and then takes chunks of programs in ascending order, as the caller does: each time a share of those left, so
; that the first chunks are long, and the last ones end almost at once. The caller closes the region when there are no more,
; and waits for those who are active: never for one who has not arrived. All spin for a while, then sleep.
;
; No chunk is to take longer than 50 ms, and a caller looks ten times a second whether a signal has arrived, as Python does between
; instructions. If its handler raises, nobody takes another chunk, and the exception is the caller's.
;
; What threads ask of the system is in system.ll, which belongs to this module.

%Pool = type { i32, [15 x i32], i32, [15 x i32], i64, [7 x i64], i64, i64, ptr, ptr, i64, i64, [2 x i64], i32, i32, i32, i32, i64, i64, i64, i64, i64, i64, [64 x i64] }
;              generation       active           next program    |    |    |    |    |    |              |    |    |         |    |    number of futex, then those below
;                                                                total|    |    |    |    |    |         |    |    |         |    ns of work worth waking for
;                                                                     parts|    |    |    |    most programs of a chunk    threads asked for
;                                                                          |    |    |    seats left     |    |    |
;                                                                          |    |    scratch, in bytes   |    |    |
;                                                                          run  arguments                |    |    whether the caller sleeps
;                                                                                                        |    threads that sleep
;                                                                                                        lock of the caller
; 20: the processor that helpers are kept off, counted from 1; 21: threads that have begun; 23: the first of them

declare i64 @llvm.umax.i64(i64, i64)
declare i64 @llvm.umin.i64(i64, i64)
declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)
declare i32 @PyErr_CheckSignals()
declare void @PyErr_Fetch(ptr, ptr, ptr)

; the life of a thread
define ptr @serve(ptr %pool) nounwind {
entry:
  %own = alloca { ptr, i64 }
  store { ptr, i64 } zeroinitializer, ptr %own
  %active = getelementptr %Pool, ptr %pool, i64 0, i32 2
  %sleepers = getelementptr %Pool, ptr %pool, i64 0, i32 14
  %waiting = getelementptr %Pool, ptr %pool, i64 0, i32 15
  %seats = getelementptr %Pool, ptr %pool, i64 0, i32 11
  call void @enter(ptr %pool)
  br label %idle
idle:
  %last = phi i32 [ 0, %entry ], [ %found, %got ], [ %found, %left ]
  %start = call i64 @now()
  br label %spin
spin:
  %seen = load atomic i32, ptr %pool seq_cst, align 4
  %t1 = icmp ne i32 %seen, %last
  br i1 %t1, label %got, label %look
look:
  %now = call i64 @now()
  %spent = sub i64 %now, %start
  %patient = icmp ult i64 %spent, 50000
  br i1 %patient, label %spin, label %sleep
sleep:
  %t2 = atomicrmw add ptr %sleepers, i32 1 seq_cst
  call void @wait(ptr %pool, ptr %pool, i32 %last)
  %t3 = atomicrmw sub ptr %sleepers, i32 1 seq_cst
  %woken = load atomic i32, ptr %pool seq_cst, align 4
  %t4 = icmp ne i32 %woken, %last
  br i1 %t4, label %got, label %sleep
got:
  %found = phi i32 [ %seen, %spin ], [ %woken, %sleep ]
  %odd = trunc i32 %found to i1
  br i1 %odd, label %join, label %idle
join:
  %t5 = atomicrmw add ptr %active, i32 1 seq_cst
  %again = load atomic i32, ptr %pool seq_cst, align 4
  %open = icmp eq i32 %again, %found
  br i1 %open, label %sit, label %leave
sit:
  %seat = atomicrmw sub ptr %seats, i64 1 seq_cst
  %free = icmp sgt i64 %seat, 0
  br i1 %free, label %prepare, label %leave
prepare:
  %t6 = getelementptr %Pool, ptr %pool, i64 0, i32 10
  %scratch = load i64, ptr %t6
  %enough = call i1 @grow(ptr %own, i64 %scratch)
  br i1 %enough, label %work, label %leave
work:
  %arena = load ptr, ptr %own
  %t9 = call i1 @take(ptr %pool, ptr %arena, i64 0, i1 false, ptr null)
  br label %leave
leave:
  %t7 = atomicrmw sub ptr %active, i32 1 seq_cst
  %asleep = load atomic i32, ptr %waiting seq_cst, align 4
  %t8 = icmp eq i32 %asleep, 0
  br i1 %t8, label %left, label %wake
wake:
  call void @wake(ptr %pool, ptr %active, i64 1)
  br label %left
left:
  br label %idle
}

; run a grid on so many threads (0: one per processor). 1: done; 0: nothing done, for the pool has not been asked for as many
; threads; 2: interrupted by an exception, which is set, or moved to the three words of %caught if it is not null.
; %pace: nanoseconds a program took the last time, or 0
define i32 @spread(ptr %pool, ptr %run, ptr %args, i64 %total, i64 %threads, i64 %scratch, ptr %arena, ptr %pace, ptr %caught) nounwind {
entry:
  %before = load i64, ptr %pace
  %given = icmp ne i64 %threads, 0
  br i1 %given, label %known, label %ask
ask:
  %processors = call i64 @processors()
  %t1 = icmp eq i64 %processors, 0
  br i1 %t1, label %not, label %known
known:
  %most = phi i64 [ %threads, %entry ], [ %processors, %ask ]
  %count = call i64 @llvm.umin.i64(i64 %most, i64 %total)
  %helpers = sub i64 %count, 1
  %single = icmp slt i64 %helpers, 1
  br i1 %single, label %serial, label %several
several:
  %t2 = getelementptr %Pool, ptr %pool, i64 0, i32 17
  %workers = load i64, ptr %t2
  %few = icmp slt i64 %workers, %helpers
  br i1 %few, label %not, label %try
try:
  %lock = getelementptr %Pool, ptr %pool, i64 0, i32 13
  %t3 = cmpxchg ptr %lock, i32 0, i32 1 acquire monotonic
  %ours = extractvalue { i32, i1 } %t3, 1
  br i1 %ours, label %open, label %serial
serial:
  %through = call i1 @alone(ptr %run, ptr %args, i64 %total, ptr %arena, ptr %pace, ptr %caught)
  %t20 = select i1 %through, i32 1, i32 2
  ret i32 %t20
not:
  ret i32 0
open:
  %parts = mul i64 %count, 2                                  ; a thread that is slow from now on holds nobody up
  %t4 = mul i64 %parts, 16
  %t5 = udiv i64 %total, %t4
  %probe = call i64 @llvm.umax.i64(i64 %t5, i64 1)
  %next = getelementptr %Pool, ptr %pool, i64 0, i32 4
  store atomic i64 %probe, ptr %next monotonic, align 8
  %t6 = getelementptr %Pool, ptr %pool, i64 0, i32 6
  store i64 %total, ptr %t6
  %t7 = getelementptr %Pool, ptr %pool, i64 0, i32 7
  store i64 %parts, ptr %t7
  %t8 = getelementptr %Pool, ptr %pool, i64 0, i32 8
  store ptr %run, ptr %t8
  %t9 = getelementptr %Pool, ptr %pool, i64 0, i32 9
  store ptr %args, ptr %t9
  %t10 = getelementptr %Pool, ptr %pool, i64 0, i32 10
  store i64 %scratch, ptr %t10
  %t11 = getelementptr %Pool, ptr %pool, i64 0, i32 11
  store atomic i64 %helpers, ptr %t11 monotonic, align 8
  %t15 = icmp ne i64 %before, 0
  %t21 = call i64 @short(i64 %before)
  %t22 = select i1 %t15, i64 %t21, i64 %probe
  %most.at = getelementptr %Pool, ptr %pool, i64 0, i32 12
  store atomic i64 %t22, ptr %most.at monotonic, align 8
  %t12 = atomicrmw add ptr %pool, i32 1 seq_cst
  %t13 = getelementptr %Pool, ptr %pool, i64 0, i32 18
  %worth = load i64, ptr %t13
  %expected = mul i64 %before, %total
  %t14 = icmp sge i64 %expected, %worth
  %long = and i1 %t14, %t15
  br i1 %long, label %early, label %first
early:
  call void @rouse(ptr %pool, i64 %helpers)
  br label %first
first:                                                        ; who spins is here already; the others must be worth waking
  %start = call i64 @now()
  call void %run(ptr %args, i64 0, i64 %probe, ptr %arena)
  %end = call i64 @now()
  %spent = sub i64 %end, %start
  %each = udiv i64 %spent, %probe
  store i64 %each, ptr %pace
  %t23 = call i64 @short(i64 %each)
  store atomic i64 %t23, ptr %most.at monotonic, align 8
  %rest = sub i64 %total, %probe
  %t16 = mul i64 %each, %rest
  %t17 = icmp slt i64 %t16, %worth
  %t18 = or i1 %t17, %long
  br i1 %t18, label %work, label %late
late:
  call void @rouse(ptr %pool, i64 %helpers)
  br label %work
work:
  %watched = icmp sge i64 %t16, 1000000                       ; where a look at the clock costs nothing
  %done = call i1 @take(ptr %pool, ptr %arena, i64 4611686018427387904, i1 %watched, ptr %caught)
  %t19 = atomicrmw add ptr %pool, i32 1 seq_cst
  call void @part(ptr %pool)
  store atomic i32 0, ptr %lock release, align 4
  %t24 = select i1 %done, i32 1, i32 2
  ret i32 %t24
}

; how many programs of so many nanoseconds each are a short chunk
define internal i64 @short(i64 %each) nounwind {
  %some = call i64 @llvm.umax.i64(i64 %each, i64 1)
  %t1 = udiv i64 50000000, %some
  %t2 = call i64 @llvm.umax.i64(i64 %t1, i64 1)
  ret i64 %t2
}

; all programs on this thread, in one piece if they took less than 50 ms the last time; false if an exception interrupted
define internal i1 @alone(ptr %run, ptr %args, i64 %total, ptr %arena, ptr %pace, ptr %caught) nounwind {
entry:
  %start = call i64 @now()
  %before = load i64, ptr %pace
  %known = icmp ne i64 %before, 0
  %t1 = call i64 @short(i64 %before)
  %t2 = udiv i64 %total, 64
  %t3 = call i64 @llvm.umax.i64(i64 %t2, i64 1)
  %begin = select i1 %known, i64 %t1, i64 %t3
  br label %piece
piece:
  %first = phi i64 [ 0, %entry ], [ %last, %further ]
  %ran = phi i64 [ 0, %entry ], [ 4611686018427387904, %further ]
  %size = phi i64 [ %begin, %entry ], [ %next, %further ]
  %looked = phi i64 [ %start, %entry ], [ %look, %further ]
  %left = sub i64 %total, %first
  %t4 = call i64 @llvm.umin.i64(i64 %size, i64 %left)
  %last = add i64 %first, %t4
  %marked = or i64 %first, %ran
  call void %run(ptr %args, i64 %marked, i64 %last, ptr %arena)
  %now = call i64 @now()
  %spent = sub i64 %now, %start
  %each = udiv i64 %spent, %last
  store i64 %each, ptr %pace
  %more = icmp ult i64 %last, %total
  br i1 %more, label %listen, label %done
listen:
  %calm = call i1 @is_calm(i64 %now, i64 %looked, ptr %caught)
  br i1 %calm, label %further, label %interrupted
further:
  %next = call i64 @short(i64 %each)
  %look = call i64 @latest(i64 %now, i64 %looked)
  br label %piece
done:
  ret i1 true
interrupted:
  ret i1 false
}

; when the caller last looked for signals, if it does so a tenth of a second after it did before
define internal i64 @latest(i64 %now, i64 %looked) nounwind {
  %since = sub i64 %now, %looked
  %late = icmp uge i64 %since, 100000000
  %last = select i1 %late, i64 %now, i64 %looked
  ret i64 %last
}

; whether no signal has arrived whose handler raises, as far as it is time to look; only Python's main thread hears them
define internal i1 @is_calm(i64 %now, i64 %looked, ptr %caught) nounwind {
entry:
  %last = call i64 @latest(i64 %now, i64 %looked)
  %early = icmp eq i64 %last, %looked
  br i1 %early, label %calm, label %look
look:
  %state = call i32 @PyGILState_Ensure()
  %failed = call i32 @PyErr_CheckSignals()
  %fine = icmp eq i32 %failed, 0
  %stays = icmp eq ptr %caught, null
  %t1 = or i1 %fine, %stays
  br i1 %t1, label %looked.so, label %fetch
fetch:
  %t2 = getelementptr ptr, ptr %caught, i64 1
  %t3 = getelementptr ptr, ptr %caught, i64 2
  call void @PyErr_Fetch(ptr %caught, ptr %t2, ptr %t3)
  br label %looked.so
looked.so:
  call void @PyGILState_Release(i32 %state)
  ret i1 %fine
calm:
  ret i1 true
}

; take chunks until there are no more; a bit beside the number of the first program tells the kernel whether this thread has
; already run others of this region, which may have left something in the arena. Who watches listens for signals: false if an
; exception interrupted
define internal i1 @take(ptr %pool, ptr %arena, i64 %others, i1 %watches, ptr %caught) nounwind {
entry:
  %most.at = getelementptr %Pool, ptr %pool, i64 0, i32 12
  %start = call i64 @now()
  %next = getelementptr %Pool, ptr %pool, i64 0, i32 4
  %t1 = getelementptr %Pool, ptr %pool, i64 0, i32 6
  %total = load i64, ptr %t1
  %t2 = getelementptr %Pool, ptr %pool, i64 0, i32 7
  %parts = load i64, ptr %t2
  %t3 = getelementptr %Pool, ptr %pool, i64 0, i32 8
  %run = load ptr, ptr %t3
  %t4 = getelementptr %Pool, ptr %pool, i64 0, i32 9
  %args = load ptr, ptr %t4
  %t5 = mul i64 %parts, 64
  %t6 = udiv i64 %total, %t5
  %least = call i64 @llvm.umax.i64(i64 %t6, i64 1)
  br label %ask
ask:
  %ran = phi i64 [ %others, %entry ], [ 4611686018427387904, %work ], [ 4611686018427387904, %heard ]
  %looked = phi i64 [ %start, %entry ], [ %looked, %work ], [ %look, %heard ]
  %seen = load atomic i64, ptr %next monotonic, align 8
  br label %claim
claim:
  %first = phi i64 [ %seen, %ask ], [ %now, %offer ]
  %some = icmp ult i64 %first, %total
  br i1 %some, label %offer, label %done
offer:
  %left = sub i64 %total, %first
  %share = udiv i64 %left, %parts
  %chunk = call i64 @llvm.umax.i64(i64 %share, i64 %least)
  %most = load atomic i64, ptr %most.at monotonic, align 8
  %t8 = call i64 @llvm.umin.i64(i64 %chunk, i64 %most)
  %size = call i64 @llvm.umin.i64(i64 %t8, i64 %left)
  %last = add i64 %first, %size
  %t7 = cmpxchg ptr %next, i64 %first, i64 %last monotonic monotonic
  %now = extractvalue { i64, i1 } %t7, 0
  %ours = extractvalue { i64, i1 } %t7, 1
  br i1 %ours, label %work, label %claim
work:
  %marked = or i64 %first, %ran
  call void %run(ptr %args, i64 %marked, i64 %last, ptr %arena)
  br i1 %watches, label %listen, label %ask
listen:
  %t9 = call i64 @now()
  %calm = call i1 @is_calm(i64 %t9, i64 %looked, ptr %caught)
  br i1 %calm, label %heard, label %stop
heard:
  %look = call i64 @latest(i64 %t9, i64 %looked)
  br label %ask
stop:
  store atomic i64 %total, ptr %next monotonic, align 8
  ret i1 false
done:
  ret i1 true
}

; wait until nobody is active
define internal void @part(ptr %pool) nounwind {
entry:
  %active = getelementptr %Pool, ptr %pool, i64 0, i32 2
  %waiting = getelementptr %Pool, ptr %pool, i64 0, i32 15
  %quick = load atomic i32, ptr %active seq_cst, align 4
  %t1 = icmp eq i32 %quick, 0
  br i1 %t1, label %done, label %begin
begin:
  %start = call i64 @now()
  br label %spin
spin:
  %left = load atomic i32, ptr %active seq_cst, align 4
  %t2 = icmp eq i32 %left, 0
  br i1 %t2, label %done, label %look
look:
  %now = call i64 @now()
  %spent = sub i64 %now, %start
  %patient = icmp ult i64 %spent, 50000
  br i1 %patient, label %spin, label %tell
tell:
  store atomic i32 1, ptr %waiting seq_cst, align 4
  br label %check
check:
  %still = load atomic i32, ptr %active seq_cst, align 4
  %t3 = icmp eq i32 %still, 0
  br i1 %t3, label %woken, label %sleep
sleep:
  call void @wait(ptr %pool, ptr %active, i32 %still)
  br label %check
woken:
  store atomic i32 0, ptr %waiting seq_cst, align 4
  br label %done
done:
  ret void
}
