// Connects to PostgreSQL with pgx.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/jackc/pgx/v4"
)

const whoAmI = "select current_user::text, coalesce(client_dn, '') from pg_stat_ssl where pid = pg_backend_pid()"

func main() {
	words := []string{"host", "port", "user", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"}
	settings := "connect_timeout=10"
	for place, word := range words {
		if value := os.Args[place+1]; value != "" {
			settings += fmt.Sprintf(" %s='%s'", word, strings.ReplaceAll(value, "'", `\'`))
		}
	}
	connection, err := pgx.Connect(context.Background(), settings)
	refused(err)
	var user, name string
	refused(connection.QueryRow(context.Background(), whoAmI).Scan(&user, &name))
	fmt.Printf("ok\t%s\t%s\n", user, name)
}

func refused(err error) {
	if err != nil {
		fmt.Println(err)
		log.Fatal(err)
	}
}
