// Asynq, the Go worker over Redis: enqueue empty jobs while a server of ten works them off; how many a second.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

const producers = 8

func main() {
	redis, err := asynq.ParseRedisURI(os.Args[1])
	check(err)
	jobs, err := strconv.Atoi(os.Args[2])
	check(err)
	var done atomic.Int64
	server := asynq.NewServer(redis, asynq.Config{Concurrency: 10, LogLevel: asynq.FatalLevel})
	mux := asynq.NewServeMux()
	mux.HandleFunc("job", func(context.Context, *asynq.Task) error {
		done.Add(1)
		return nil
	})
	check(server.Start(mux))
	client := asynq.NewClient(redis)
	payload := make([]byte, 300)
	began := time.Now()
	var sending sync.WaitGroup
	for range producers {
		sending.Add(1)
		go func() {
			defer sending.Done()
			for range jobs / producers {
				_, err := client.Enqueue(asynq.NewTask("job", payload))
				check(err)
			}
		}()
	}
	sending.Wait()
	for done.Load() < int64(jobs/producers*producers) {
		time.Sleep(time.Millisecond)
	}
	fmt.Printf("%.1f\n", float64(done.Load())/time.Since(began).Seconds())
	server.Shutdown()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
