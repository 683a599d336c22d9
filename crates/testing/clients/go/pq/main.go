// Connects to PostgreSQL with lib/pq.
package main

import (
	"database/sql"
	"fmt"
	"log"
	"os"
	"strings"

	_ "github.com/lib/pq"
)

const whoAmI = "select current_user, coalesce(client_dn, '') from pg_stat_ssl where pid = pg_backend_pid()"

func main() {
	words := []string{"host", "port", "user", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"}
	settings := "connect_timeout=10"
	for place, word := range words {
		if value := os.Args[place+1]; value != "" {
			settings += fmt.Sprintf(" %s='%s'", word, strings.ReplaceAll(value, "'", `\'`))
		}
	}
	database, err := sql.Open("postgres", settings)
	refused(err)
	var user, name string
	refused(database.QueryRow(whoAmI).Scan(&user, &name))
	fmt.Printf("ok\t%s\t%s\n", user, name)
}

func refused(err error) {
	if err != nil {
		fmt.Println(err)
		log.Fatal(err)
	}
}
