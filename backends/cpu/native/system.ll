; What threads ask of the system: to sleep and be woken, where to run, what time it is, memory. Belongs to pool.ll.

declare i64 @syscall(i64, ...)
declare i32 @clock_gettime(i32, ptr)
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i32 @sched_getcpu()
declare i64 @pthread_self()
declare i32 @pthread_setaffinity_np(i64, i64, ptr)
declare ptr @mmap(ptr, i64, i32, i32, i32, i64)
declare i32 @munmap(ptr, i64)
declare i64 @llvm.ctpop.i64(i64)

; wake so many of those who sleep, if any do
define internal void @rouse(ptr %pool, i64 %count) nounwind {
entry:
  %t1 = getelementptr %Pool, ptr %pool, i64 0, i32 14
  %sleepers = load atomic i32, ptr %t1 seq_cst, align 4
  %none = icmp eq i32 %sleepers, 0
  br i1 %none, label %done, label %wake
wake:
  call void @keep_off(ptr %pool)
  call void @wake(ptr %pool, ptr %pool, i64 %count)
  br label %done
done:
  ret void
}

; a thread has begun: whoever wakes it knows it
define internal void @enter(ptr %pool) nounwind {
  %present = getelementptr %Pool, ptr %pool, i64 0, i32 21
  %slot = atomicrmw add ptr %present, i64 1 seq_cst
  %known = icmp ult i64 %slot, 64
  br i1 %known, label %tell, label %done
tell:
  %thread = getelementptr %Pool, ptr %pool, i64 0, i32 23, i64 %slot
  %self = call i64 @pthread_self()
  store atomic i64 %self, ptr %thread seq_cst, align 8
  %away = getelementptr %Pool, ptr %pool, i64 0, i32 20
  store atomic i64 0, ptr %away seq_cst, align 8               ; not yet of this thread
  br label %done
done:
  ret void
}

; let threads run wherever the caller may, but not where it is
; A thread that is woken may be put on the processor of who wakes it, and then one waits for the other, although another
; processor is idle: Linux takes one for busy that its hypervisor has put to sleep. So threads are kept off the caller's.
define internal void @keep_off(ptr %pool) nounwind {
entry:
  %mask = alloca [16 x i64]
  %cpu = call i32 @sched_getcpu()
  %valid = icmp ult i32 %cpu, 1024
  %here = zext i32 %cpu to i64
  %mark = add i64 %here, 1
  %away = getelementptr %Pool, ptr %pool, i64 0, i32 20
  %before = load atomic i64, ptr %away seq_cst, align 8
  %moved = icmp ne i64 %before, %mark
  %needed = and i1 %valid, %moved
  br i1 %needed, label %ask, label %done
ask:
  store [16 x i64] zeroinitializer, ptr %mask
  %t1 = call i32 @sched_getaffinity(i32 0, i64 128, ptr %mask)
  %known = icmp eq i32 %t1, 0
  br i1 %known, label %clear, label %done
clear:
  %word.number = lshr i64 %here, 6
  %bit = and i64 %here, 63
  %one = shl i64 1, %bit
  %others = xor i64 %one, -1
  %word.at = getelementptr i64, ptr %mask, i64 %word.number
  %word = load i64, ptr %word.at
  %left = and i64 %word, %others
  store i64 %left, ptr %word.at
  store atomic i64 %mark, ptr %away seq_cst, align 8
  %present.at = getelementptr %Pool, ptr %pool, i64 0, i32 21
  %present = load atomic i64, ptr %present.at seq_cst, align 8
  %count = call i64 @llvm.umin.i64(i64 %present, i64 64)
  br label %next
next:
  %i = phi i64 [ 0, %clear ], [ %i.next, %send ], [ %i.next, %look ]
  %some = icmp ult i64 %i, %count
  br i1 %some, label %look, label %done
look:
  %i.next = add i64 %i, 1
  %thread.at = getelementptr %Pool, ptr %pool, i64 0, i32 23, i64 %i
  %thread = load atomic i64, ptr %thread.at seq_cst, align 8
  %begun = icmp ne i64 %thread, 0
  br i1 %begun, label %send, label %next
send:
  %t2 = call i32 @pthread_setaffinity_np(i64 %thread, i64 128, ptr %mask)  ; fails where no processor is left, and changes nothing
  br label %next
done:
  ret void
}

; 128, 129: FUTEX_WAIT and FUTEX_WAKE among the threads of one process
define internal void @wait(ptr %pool, ptr %word, i32 %value) nounwind {
  %t1 = getelementptr %Pool, ptr %pool, i64 0, i32 19
  %futex = load i64, ptr %t1
  %t2 = call i64 (i64, ...) @syscall(i64 %futex, ptr %word, i64 128, i32 %value, ptr null, ptr null, i64 0)
  ret void
}

define internal void @wake(ptr %pool, ptr %word, i64 %count) nounwind {
  %t1 = getelementptr %Pool, ptr %pool, i64 0, i32 19
  %futex = load i64, ptr %t1
  %t2 = call i64 (i64, ...) @syscall(i64 %futex, ptr %word, i64 129, i64 %count, ptr null, ptr null, i64 0)
  ret void
}

; nanoseconds of the monotonic clock
define internal i64 @now() nounwind {
  %time = alloca { i64, i64 }
  %t1 = call i32 @clock_gettime(i32 1, ptr %time)
  %seconds = load i64, ptr %time
  %t2 = getelementptr { i64, i64 }, ptr %time, i64 0, i32 1
  %rest = load i64, ptr %t2
  %t3 = mul i64 %seconds, 1000000000
  %t4 = add i64 %t3, %rest
  ret i64 %t4
}

; how many processors this thread may use; 0 if there are more than we ask about
define internal i64 @processors() nounwind {
entry:
  %mask = alloca [16 x i64]
  store [16 x i64] zeroinitializer, ptr %mask
  %t1 = call i32 @sched_getaffinity(i32 0, i64 128, ptr %mask)
  %failed = icmp ne i32 %t1, 0
  br i1 %failed, label %unknown, label %count
count:
  %i = phi i64 [ 0, %entry ], [ %i.next, %count ]
  %sum = phi i64 [ 0, %entry ], [ %sum.next, %count ]
  %t2 = getelementptr i64, ptr %mask, i64 %i
  %word = load i64, ptr %t2
  %bits = call i64 @llvm.ctpop.i64(i64 %word)
  %sum.next = add i64 %sum, %bits
  %i.next = add i64 %i, 1
  %last = icmp eq i64 %i.next, 16
  br i1 %last, label %done, label %count
done:
  ret i64 %sum.next
unknown:
  ret i64 0
}

; see to it that a thread's scratch memory has so many bytes
define internal i1 @grow(ptr %own, i64 %bytes) nounwind {
entry:
  %t1 = getelementptr { ptr, i64 }, ptr %own, i64 0, i32 1
  %size = load i64, ptr %t1
  %enough = icmp uge i64 %size, %bytes
  br i1 %enough, label %yes, label %make
make:
  %t2 = add i64 %bytes, 2097151
  %new = and i64 %t2, -2097152
  %memory = call ptr @mmap(ptr null, i64 %new, i32 3, i32 34, i32 -1, i64 0)   ; read and write; private, anonymous
  %t3 = ptrtoint ptr %memory to i64
  %failed = icmp eq i64 %t3, -1
  br i1 %failed, label %no, label %replace
replace:
  %old = load ptr, ptr %own
  %t4 = icmp eq ptr %old, null
  br i1 %t4, label %keep, label %free
free:
  %t5 = call i32 @munmap(ptr %old, i64 %size)
  br label %keep
keep:
  store ptr %memory, ptr %own
  store i64 %new, ptr %t1
  br label %yes
yes:
  ret i1 true
no:
  ret i1 false
}
